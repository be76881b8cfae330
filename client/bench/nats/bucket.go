package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucketName     = "bench"
	connectTimeout = 5 * time.Second
)

func dial(endpoint string) (*nats.Conn, jetstream.JetStream, error) {
	// A member that is down shall show as time, and the load stay spread as it was: a connection waits for its own member.
	connection, err := nats.Connect("nats://"+endpoint, nats.Timeout(connectTimeout), nats.MaxReconnects(-1),
		nats.IgnoreDiscoveredServers())
	if err != nil {
		return nil, nil, fmt.Errorf("cannot connect to %s: %w", endpoint, err)
	}
	js, err := jetstream.New(connection)
	return connection, js, err
}

// openBucket creates the bucket when there is none, sets how it is read, and returns the name of its leading server.
//
// A put is acknowledged alike in both settings: the entry is in the Raft logs of a majority, and with the servers'
// `sync_interval: always` each of them has synced its log before it said so. That is what raftkv and etcd promise.
//
// Gets are not alike. raftkv and etcd ask a quorum whether the leader still leads. JetStream has no such read. With
// direct gets, the default of a bucket, any replica answers with what it has. Without them (AllowDirect off) only the
// stream's leader answers, from its own state: closest to the other two, and linearizable while the leader stays the
// same, but a leader that was replaced and has not heard of it answers with old values.
func openBucket(ctx context.Context, js jetstream.JetStream, replicas int, direct bool) (string, error) {
	_, err := js.KeyValue(ctx, bucketName)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		_, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bucketName, History: 1, Storage: jetstream.FileStorage, Replicas: replicas})
	}
	if err != nil {
		return "", err
	}
	stream, err := js.Stream(ctx, "KV_"+bucketName)
	if err != nil {
		return "", err
	}
	// No option of a bucket says this, only one of the stream below it.
	if config := stream.CachedInfo().Config; config.AllowDirect != direct {
		config.AllowDirect = direct
		if stream, err = js.UpdateStream(ctx, config); err != nil {
			return "", err
		}
	}
	cluster := stream.CachedInfo().Cluster
	if cluster == nil { // A server on its own.
		return js.Conn().ConnectedServerName(), nil
	}
	if cluster.Leader == "" {
		return "", errors.New("nobody leads the bucket")
	}
	return cluster.Leader, nil
}

// endpointOf finds the endpoint of the server of that name.
func endpointOf(endpoints []string, server string) (string, error) {
	for _, endpoint := range endpoints {
		connection, _, err := dial(endpoint)
		if err != nil {
			return "", err
		}
		name := connection.ConnectedServerName()
		connection.Close()
		if name == server {
			return endpoint, nil
		}
	}
	return "", errors.New("no endpoint leads the bucket")
}

// connect opens the connections, which the process keeps until its end, and binds the bucket on each. It fails when an
// endpoint does not answer, or when the member that leads is none of them though it has to be.
func connect(o options) ([]jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	endpoints := o.endpoints
	first, js, err := dial(endpoints[0])
	if err != nil {
		return nil, err
	}
	defer first.Close()
	leader, err := openBucket(ctx, js, o.replicas, o.consistency == "stale")
	if err != nil {
		return nil, err
	}
	if o.leaderOnly {
		endpoint, err := endpointOf(endpoints, leader)
		if err != nil {
			return nil, err
		}
		endpoints = []string{endpoint}
	}
	buckets := make([]jetstream.KeyValue, o.connections)
	for i := range buckets {
		_, js, err := dial(endpoints[i%len(endpoints)])
		if err != nil {
			return nil, err
		}
		if buckets[i], err = js.KeyValue(ctx, bucketName); err != nil {
			return nil, err
		}
	}
	return buckets, nil
}
