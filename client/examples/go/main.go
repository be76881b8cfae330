// Reads and writes a raftkv cluster with grpc-go; docs/CLIENTS.md says how to build it.
//
// Usage: example CONFIG_FOLDER HOST:PORT,HOST:PORT,... [CERTS]
//
// The client addresses of members; with CERTS, a folder of scripts/make_certs.sh, it speaks TLS.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // Lets the service config ask for a member's health.
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "raftkv.dev/example/raftkvv1"
)

// credentialsOf has members prove themselves by the folder's CA, and proves itself by its client.pem; "": neither.
func credentialsOf(certs string) credentials.TransportCredentials {
	if certs == "" {
		return insecure.NewCredentials()
	}
	ca, err := os.ReadFile(filepath.Join(certs, "ca.pem"))
	if err != nil {
		log.Fatal(err)
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(ca) {
		log.Fatal("no certificate is in ", filepath.Join(certs, "ca.pem"))
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(certs, "client.pem"), filepath.Join(certs, "client.key"))
	if err != nil {
		log.Fatal(err)
	}
	return credentials.NewTLS(&tls.Config{RootCAs: cas, Certificates: []tls.Certificate{own}})
}

// connect has all members behind one connection. The configuration says which calls are tried again, and whom they
// go to.
func connect(endpoints, config, certs string) *grpc.ClientConn {
	text, err := os.ReadFile(config)
	if err != nil {
		log.Fatal(err)
	}
	members := manual.NewBuilderWithScheme("members")
	state := resolver.State{}
	for _, address := range strings.Split(endpoints, ",") {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			log.Fatal(err)
		}
		// Each member's certificate is for its own host.
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address, ServerName: host})
	}
	members.InitialState(state)
	conn, err := grpc.NewClient("members:///raftkv", grpc.WithResolvers(members),
		grpc.WithDefaultServiceConfig(string(text)), grpc.WithTransportCredentials(credentialsOf(certs)))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// reasonOf is why a call was refused, in raftkv's words: the table in README.md.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}

// write makes a write, which has an id of its own: it is done once, however often it takes to hear so.
func write[Request, Response any](ctx context.Context,
	call func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request) (Response, error) {
	for tries := 1; ; tries++ {
		response, err := call(ctx, request)
		// A new cluster takes ids once it knows that no member is older than they are.
		again := status.Code(err) == codes.Unavailable || reasonOf(err) == "MEMBER_TOO_OLD"
		if !again || tries == 20 {
			return response, err
		}
		time.Sleep(250 * time.Millisecond)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	folder, endpoints, certs := os.Args[1], os.Args[2], ""
	if len(os.Args) > 3 {
		certs = os.Args[3]
	}
	conn := connect(endpoints, filepath.Join(folder, "service_config.json"), certs)
	defer conn.Close()
	kv := pb.NewKvServiceClient(conn)

	greeting := &pb.PutRequest{
		Key:    "example/greeting",
		Value:  &pb.PutRequest_Text{Text: "hello"},
		Expiry: &pb.PutRequest_Ttl{Ttl: durationpb.New(time.Minute)},
	}
	greeting.RequestId = rand.Text()
	put, err := write(ctx, kv.Put, greeting)
	if err != nil {
		log.Fatal(err)
	}
	got, err := kv.Get(ctx, &pb.GetRequest{Key: "example/greeting", AsText: true})
	if err != nil {
		log.Fatal(err)
	}
	if got.Kv == nil {
		fmt.Println("get: no such key")
	} else {
		fmt.Println("get:", got.Kv.GetText())
	}

	prefix := &pb.KeyRange{Selector: &pb.KeyRange_Prefix{Prefix: "example/"}}
	list, err := kv.List(ctx, &pb.ListRequest{Range: prefix, KeysOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, each := range list.Kvs {
		fmt.Println("list:", each.Key)
	}

	_, err = write(ctx, kv.Put, &pb.PutRequest{
		RequestId:    rand.Text(),
		Key:          "example/greeting",
		Value:        &pb.PutRequest_Text{Text: "lost"},
		Precondition: &pb.Precondition{Condition: &pb.Precondition_ModRevision{ModRevision: put.ModRevision - 1}},
	})
	fmt.Println("refused:", status.Code(err), reasonOf(err))

	deleted, err := write(ctx, kv.Delete, &pb.DeleteRequest{Key: "example/greeting", RequestId: rand.Text()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("deleted:", deleted.Deleted)

	// Every member takes every call. To save the way from a member to the leader, ask the leader.
	leader := connect(endpoints, filepath.Join(folder, "leader_service_config.json"), certs)
	defer leader.Close()
	answer, err := pb.NewClusterServiceClient(leader).GetStatus(ctx, &pb.GetStatusRequest{}, grpc.WaitForReady(true))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("leader:", answer.Name)
}
