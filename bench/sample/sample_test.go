package sample

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weft/bench/result"
)

// child starts a process that uses a processor as long as the test runs.
func child(t *testing.T) Process {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Wait() })
	return Process{"h1", c.Process.Pid, "executor"}
}

// await waits until the sampler has a sample that fits.
func await(t *testing.T, s *Sampler, fits func(result.Sample) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		for _, x := range s.samples {
			if fits(x) {
				s.mu.Unlock()
				return
			}
		}
		s.mu.Unlock()
	}
	t.Fatalf("no such sample in 30 s; there are %+v", s.samples)
}

func TestARealProcess(t *testing.T) {
	p := child(t)
	var lists atomic.Int32
	s, err := Start(t.Context(), Config{
		Since: time.Now(),
		List: func(context.Context) ([]Process, error) {
			if lists.Add(1) == 1 {
				return nil, nil // it comes later
			}
			return []Process{p}, nil
		},
		GPU:   []string{"sh", "-c", "echo 0, 1024; echo 1, 2; exec sleep 60"},
		every: time.Millisecond, listEvery: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, func(x result.Sample) bool {
		return x.Host == "h1" && x.Name == result.CPU && x.Of == "executor" && x.Value > 0
	})
	await(t, s, func(x result.Sample) bool { return x.Name == result.Memory && x.Value > 50<<10 && x.Value < 50<<20 })
	await(t, s, func(x result.Sample) bool { return x.Name == result.GPUMemory && x.Of == "1" && x.Value == 2<<20 })
	samples, err := s.Stop()
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range samples {
		if x.At < 0 || i > 0 && x.At < samples[i-1].At {
			t.Fatalf("times go back: %+v", samples[:i+1])
		}
	}
	if again, _ := s.Stop(); len(again) != len(samples) {
		t.Errorf("%d samples, then %d", len(samples), len(again))
	}
}

func TestListFails(t *testing.T) {
	if _, err := Start(t.Context(), Config{List: Cluster("/nonexistent/cluster", "d")}); err == nil || !strings.Contains(err.Error(), "pids --dir d") {
		t.Errorf("a first list that fails: %v", err)
	}
	p, broken := child(t), errors.New("no cluster")
	failed := make(chan struct{})
	var lists atomic.Int32
	s, err := Start(t.Context(), Config{
		Since: time.Now(),
		List: func(context.Context) ([]Process, error) {
			switch lists.Add(1) {
			case 1:
				return []Process{p}, nil
			case 3:
				close(failed)
			}
			return nil, broken
		},
		every: time.Millisecond, listEvery: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	<-failed
	await(t, s, func(x result.Sample) bool { return x.Name == result.Memory && x.Value > 0 })
	if samples, err := s.Stop(); !errors.Is(err, broken) || len(samples) == 0 {
		t.Errorf("%d samples and %v, want the samples and that the list failed", len(samples), err)
	}
}

func TestGPUsFail(t *testing.T) {
	none := func(context.Context) ([]Process, error) { return nil, nil }
	if _, err := Start(t.Context(), Config{List: none, GPU: []string{"/nonexistent/smi"}}); err == nil {
		t.Error("a program that is not there is no error")
	}
	for _, script := range []string{"echo No devices were found; exec sleep 60", "exit 3"} {
		s, err := Start(t.Context(), Config{List: none, GPU: []string{"sh", "-c", script}})
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			s.mu.Lock()
			err := s.err
			s.mu.Unlock()
			if err != nil {
				break
			}
		}
		if _, err := s.Stop(); err == nil || !strings.Contains(err.Error(), "GPUs") {
			t.Errorf("%q: %v", script, err)
		}
	}
}
