// nats_bench measures a running NATS JetStream KV cluster as raftkv_bench measures raftkv and etcd: the same options,
// keys, values and closed loop, and one line of JSON with the same figures. It is a program of its own because NATS
// does not speak gRPC: requests go out by NATS's own client.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

type options struct {
	endpoints   []string
	leaderOnly  bool
	replicas    int
	workload    string
	consistency string
	valueBytes  int
	keys        uint64
	inFlight    int
	connections int
	duration    time.Duration
	warmup      time.Duration
	timeout     time.Duration
	seed        uint64
	noPrefill   bool
}

func parseOptions(arguments []string) (options, error) {
	var o options
	var endpoints string
	flags := flag.NewFlagSet("nats_bench", flag.ContinueOnError)
	flags.StringVar(&endpoints, "endpoints", "127.0.0.1:4222", "host:port,... of the cluster's members")
	flags.BoolVar(&o.leaderOnly, "leader-only", false, "Use only the member that leads the bucket")
	flags.IntVar(&o.replicas, "replicas", 3, "Of the bucket, when it is created")
	flags.StringVar(&o.workload, "workload", "put", "put or get")
	flags.StringVar(&o.consistency, "consistency", "linearizable",
		"Of gets: linearizable is asked of the leader, the closest there is; stale of any replica")
	flags.IntVar(&o.valueBytes, "value-size", 256, "Bytes of each value")
	flags.Uint64Var(&o.keys, "keys", 100_000, "Number of different keys, drawn evenly")
	flags.IntVar(&o.inFlight, "in-flight", 256, "Requests in flight, over all connections")
	flags.IntVar(&o.connections, "connections", 8, "Connections, spread over the endpoints")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "Time that counts")
	flags.DurationVar(&o.warmup, "warmup", 2*time.Second, "Time before it that does not")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "Of one request")
	flags.Uint64Var(&o.seed, "seed", 1, "Of keys and values")
	flags.BoolVar(&o.noPrefill, "no-prefill", false, "Do not write every key before gets")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	o.endpoints = strings.Split(endpoints, ",")
	o.connections = min(o.connections, o.inFlight)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %s", flags.Arg(0))
	case o.workload != "put" && o.workload != "get":
		return o, fmt.Errorf("--workload %s: allowed: put, get", o.workload)
	case o.consistency != "linearizable" && o.consistency != "stale":
		return o, fmt.Errorf("--consistency %s: allowed: linearizable, stale", o.consistency)
	case o.valueBytes < 0 || o.warmup < 0:
		return o, errors.New("--value-size, --warmup: must not be negative")
	case o.keys == 0 || o.connections <= 0 || o.replicas <= 0 || o.duration <= 0 || o.timeout <= 0:
		return o, errors.New("--keys, --in-flight, --connections, --replicas, --duration, --timeout: must be more than 0")
	}
	return o, nil
}

// figures are what raftkv_bench says of one kind of request.
type figures struct {
	Ops          int     `json:"ops"`
	OpsPerSecond float64 `json:"ops_per_second"`
	MeanMs       float64 `json:"mean_ms"`
	P50Ms        float64 `json:"p50_ms"`
	P99Ms        float64 `json:"p99_ms"`
	P999Ms       float64 `json:"p999_ms"`
	MaxMs        float64 `json:"max_ms"`
}

func printJSON(o options, r result) {
	all := r.latencies.figures(o.duration)
	line, err := json.Marshal(map[string]any{
		"backend":     "nats",
		"workload":    o.workload,
		"consistency": o.consistency,
		"in_flight":   o.inFlight,
		"connections": o.connections,
		"value_size":  o.valueBytes,
		"keys":        o.keys,
		"seconds":     o.duration.Seconds(),
		"all":         all,
		o.workload:    all,
		"errors":      r.errors,
	})
	if err != nil {
		panic(err) // These are numbers and texts.
	}
	fmt.Println(string(line))
}

// run returns raftkv_bench's exit codes: 0 when requests succeeded, 1 when none did, 2 when the cluster cannot be
// reached or prepared.
func run(o options) int {
	buckets, err := connect(o)
	if err == nil && o.workload == "get" && !o.noPrefill {
		err = prefill(o, buckets)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "nats_bench: %v\n", err)
		return 2
	}
	result := measure(o, buckets)
	printJSON(o, result)
	if len(result.latencies) == 0 {
		return 1
	}
	return 0
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "nats_bench: %v\n", err)
		os.Exit(3)
	}
	os.Exit(run(o))
}
