package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestFiguresOfUnsortedLatencies(t *testing.T) {
	var l latencies
	for i := 1000; i > 0; i-- {
		l = append(l, time.Duration(i)*time.Millisecond)
	}
	want := figures{Ops: 1000, OpsPerSecond: 500, MeanMs: 500.5, P50Ms: 500, P99Ms: 990, P999Ms: 999, MaxMs: 1000}
	if got := l.figures(2 * time.Second); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPercentileIsAValueThatWasSeen(t *testing.T) {
	l := latencies{1, 2, 3}
	for percent, want := range map[float64]time.Duration{0: 1, 33: 1, 34: 2, 50: 2, 67: 3, 99.9: 3, 100: 3} {
		if got := l.percentile(percent); got != want {
			t.Errorf("percentile %v: got %d, want %d", percent, got, want)
		}
	}
}

func TestNoLatencies(t *testing.T) {
	if got := (latencies{}).figures(time.Second); got != (figures{}) {
		t.Errorf("got %+v", got)
	}
}

func TestErrorNamesAreThoseOfRaftkvBench(t *testing.T) {
	for want, err := range map[string]error{
		"KEY_MISSING":       fmt.Errorf("get: %w", jetstream.ErrKeyNotFound),
		"DEADLINE_EXCEEDED": context.DeadlineExceeded,
		"nats: other":       fmt.Errorf("nats: other"),
	} {
		if got := errorName(err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
