package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const prefillInFlight = 256

type latencies []time.Duration

// percentile is the smallest value that at least `percent` of the values do not exceed. REQUIRES: sorted, not empty.
func (l latencies) percentile(percent float64) time.Duration {
	return l[max(int(math.Ceil(percent*float64(len(l))/100)), 1)-1]
}

func (l latencies) figures(counted time.Duration) figures {
	if len(l) == 0 {
		return figures{}
	}
	slices.Sort(l)
	var sum time.Duration
	for _, latency := range l {
		sum += latency
	}
	millis := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return figures{
		Ops:          len(l),
		OpsPerSecond: float64(len(l)) / counted.Seconds(),
		MeanMs:       millis(sum) / float64(len(l)),
		P50Ms:        millis(l.percentile(50)),
		P99Ms:        millis(l.percentile(99)),
		P999Ms:       millis(l.percentile(99.9)),
		MaxMs:        millis(l[len(l)-1]),
	}
}

// result is what was counted: latencies of successful requests, and how often each error came.
type result struct {
	latencies latencies
	errors    map[string]int
}

func errorName(err error) string {
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return "KEY_MISSING"
	case errors.Is(err, context.DeadlineExceeded):
		return "DEADLINE_EXCEEDED"
	default:
		return err.Error()
	}
}

// slot is one place for a request in flight. Confined to one goroutine.
type slot struct {
	bucket  jetstream.KeyValue
	timeout time.Duration
	value   []byte
	rng     *rand.Rand
}

func newSlot(o options, buckets []jetstream.KeyValue, index int) *slot {
	s := &slot{
		bucket:  buckets[index%len(buckets)],
		timeout: o.timeout,
		value:   make([]byte, o.valueBytes),
		rng:     rand.New(rand.NewPCG(o.seed, uint64(index))),
	}
	for i := range s.value {
		s.value[i] = byte(s.rng.Uint32())
	}
	return s
}

func (s *slot) put(key uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	// A few fresh bytes make each value new without filling all of it again.
	var fresh [8]byte
	binary.LittleEndian.PutUint64(fresh[:], s.rng.Uint64())
	copy(s.value, fresh[:])
	_, err := s.bucket.Put(ctx, fmt.Sprintf("bench-%010d", key), s.value)
	return err
}

func (s *slot) get(key uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	_, err := s.bucket.Get(ctx, fmt.Sprintf("bench-%010d", key))
	return err
}

// prefill writes every key once, many at a time. It fails with the first put that fails.
func prefill(o options, buckets []jetstream.KeyValue) error {
	var workers sync.WaitGroup
	var next atomic.Uint64
	var first error
	var once sync.Once
	for i := range int(min(o.keys, prefillInFlight)) {
		s := newSlot(o, buckets, i)
		workers.Go(func() {
			for key := next.Add(1) - 1; key < o.keys; key = next.Add(1) - 1 {
				if err := s.put(key); err != nil {
					once.Do(func() { first = fmt.Errorf("prefill: %w", err) })
					next.Store(o.keys)
				}
			}
		})
	}
	workers.Wait()
	return first
}

// measure runs the load for warm-up and duration: each of the requests in flight is followed by another as soon as it
// is answered. What is answered within the duration counts.
func measure(o options, buckets []jetstream.KeyValue) result {
	results := make([]result, o.inFlight)
	from := time.Now().Add(o.warmup)
	until := from.Add(o.duration)
	var workers sync.WaitGroup
	for i := range results {
		s := newSlot(o, buckets, i)
		results[i].errors = map[string]int{}
		workers.Go(func() { s.loop(o, from, until, &results[i]) })
	}
	workers.Wait()
	all := result{errors: map[string]int{}}
	for _, r := range results {
		all.latencies = append(all.latencies, r.latencies...)
		for name, count := range r.errors {
			all.errors[name] += count
		}
	}
	return all
}

func (s *slot) loop(o options, from, until time.Time, counted *result) {
	request := s.put
	if o.workload == "get" {
		request = s.get
	}
	for {
		started := time.Now()
		err := request(s.rng.Uint64N(o.keys))
		now := time.Now()
		if !now.Before(until) {
			return
		}
		if now.Before(from) {
			continue
		}
		if err != nil {
			counted.errors[errorName(err)]++
		} else {
			counted.latencies = append(counted.latencies, now.Sub(started))
		}
	}
}
