#!/usr/bin/env bash
# Makes the certificates of a cluster that speaks TLS: a CA, one certificate for each member, and one for clients.
#
#   scripts/make_certs.sh FOLDER NAME[,HOST]... [NAME[,HOST]...]...
#   scripts/make_certs.sh certs n1,10.0.0.1 n2,10.0.0.2,n2.example.com n3,10.0.0.3
#
# FOLDER gets ca.pem and ca.key, NAME.pem and NAME.key of each member, client.pem and client.key. A member's certificate
# is for its name, for its hosts, and for localhost. A CA that is there is used again, so members can be added and
# certificates renewed: a running raftkvd takes the new files by itself. Keep ca.key away from the members.
# DAYS (365) is how long certificates last, CA_DAYS (3650) how long the CA does.
set -euo pipefail

readonly DAYS=${DAYS:-365} CA_DAYS=${CA_DAYS:-3650}

fail() {
  echo "make_certs: $1" >&2
  exit 1
}

# new_key <file>
new_key() {
  (umask 077 && openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1")
}

# alternative_names <name or host>...
alternative_names() {
  local host list=
  for host in "$@"; do
    if [[ $host =~ ^[0-9.]+$ || $host == *:* ]]; then
      list+=",IP:$host"
    else
      list+=",DNS:$host"
    fi
  done
  echo "${list#,}"
}

make_ca() {
  if [[ -e $folder/ca.pem && -e $folder/ca.key ]]; then
    return
  fi
  new_key "$folder/ca.key"
  openssl req -x509 -new -sha256 -key "$folder/ca.key" -out "$folder/ca.pem" -days "$CA_DAYS" -subj "/CN=raftkv CA" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

# make_certificate <file> <extended key usage> <name> <host>...
make_certificate() {
  local file=$1 usage=$2 name=$3
  shift 2
  new_key "$folder/.$file.key"
  openssl req -new -sha256 -key "$folder/.$file.key" -subj "/CN=$name" |
    openssl x509 -req -sha256 -days "$DAYS" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -out "$folder/.$file.pem" \
      -set_serial "0x$(openssl rand -hex 16)" -extfile <(
        echo "basicConstraints=critical,CA:FALSE"
        echo "keyUsage=critical,digitalSignature"
        echo "extendedKeyUsage=$usage"
        echo "subjectAltName=$(alternative_names "$@")"
      ) 2>/dev/null
  mv "$folder/.$file.pem" "$folder/$file.pem"
  mv "$folder/.$file.key" "$folder/$file.key"
}

[[ $# -ge 2 ]] || fail "usage: make_certs.sh FOLDER NAME[,HOST]... [NAME[,HOST]...]..."
command -v openssl >/dev/null || fail "openssl is not there: apt-get install openssl"
folder=$1
shift
for member in "$@"; do
  [[ ${member%%,*} =~ ^[A-Za-z0-9._-]{1,64}$ ]] || fail "\"${member%%,*}\" is no name of a member"
  [[ ${member%%,*} != ca && ${member%%,*} != client ]] || fail "\"${member%%,*}\" is the name of another file"
done

mkdir -p "$folder"
make_ca
for member in "$@"; do
  IFS=, read -ra hosts <<<"$member"
  make_certificate "${hosts[0]}" serverAuth,clientAuth "${hosts[@]}" localhost 127.0.0.1 ::1
done
make_certificate client clientAuth client
echo "make_certs: $folder has ca.pem, client.pem, client.key, and NAME.pem and NAME.key of $# member(s)"
