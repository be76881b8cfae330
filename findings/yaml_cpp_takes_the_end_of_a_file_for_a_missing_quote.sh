#!/usr/bin/env bash
# yaml-cpp 0.7.0 (Debian 12: libyaml-cpp-dev 0.7.0+dfsg-8+b1): a quoted text that is never closed is no YAML (1.2, 7.3).
# yaml-cpp accepts it when the file ends with a newline, as files do, and takes all lines behind the quote into the
# text; without that newline it refuses the file. So of a configuration with one forgotten quote the lines behind it are
# gone.
#
# Seen:     'name: "n1\ndata_dir: d\n' has one key, whose value is 'n1 data_dir: d '; without the last newline "illegal
#           EOF in scalar"
# Expected: an error for both.
# Needs apt-get and g++. Exit 0: behaves so; 1: it changed; 2: could not be tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
readonly VERSION=0.7.0+dfsg-8+b1
if ! apt-get download -q "libyaml-cpp-dev=$VERSION" "libyaml-cpp0.7=$VERSION" >/dev/null 2>&1; then
  echo "the packages are not to be had"
  exit 2
fi
for package in ./*.deb; do dpkg -x "$package" root; done
cat >quote.cc <<'CC'
#include <yaml-cpp/yaml.h>

#include <cstdio>
#include <string>

std::string Read(const std::string& text) {
  try {
    const YAML::Node node = YAML::Load(text);
    return std::to_string(node.size()) + " key, name='" + node["name"].as<std::string>() + "'";
  } catch (const YAML::Exception& error) {
    return error.msg;
  }
}

int main() {
  const std::string with = Read("name: \"n1\ndata_dir: d\n");
  const std::string without = Read("name: \"n1\ndata_dir: d");
  std::printf("with a newline at the end: %s\nwithout: %s\n", with.c_str(), without.c_str());
  return with == "1 key, name='n1 data_dir: d '" && without == "illegal EOF in scalar" ? 0 : 1;
}
CC
libraries=root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
if ! g++ -std=c++17 -isystem root/usr/include quote.cc -o quote -L "$libraries" -lyaml-cpp; then
  echo "the program cannot be built"
  exit 2
fi
LD_LIBRARY_PATH=$libraries ./quote
