package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func newConsole(prefix string) (*console, *strings.Builder) {
	out := new(strings.Builder)
	return &console{prefix: prefix, token: "TOKEN", mu: new(sync.Mutex), out: out}, out
}

// What a console makes of a guest's output, however that is cut.
func TestConsole(t *testing.T) {
	for name, c := range map[string]struct {
		in, out, last  string
		started, ended bool
		status         int
	}{
		"job":                {"boot\r\nTOKEN start\r\na\r\nb\r\nTOKEN exit 0\r\nreboot: halted\r\n", "1| a\n1| b\n", "b", true, true, 0},
		"failure":            {"TOKEN start\nTOKEN exit 3\n", "", "", true, true, 3},
		"open line":          {"TOKEN start\nno endTOKEN exit 4\n", "1| no end\n", "no end", true, true, 4},
		"empty lines":        {"TOKEN start\n\n\nx\nTOKEN exit 0\n", "1| \n1| \n1| x\n", "x", true, true, 0},
		"crash":              {"TOKEN start\na\nKernel panic", "1| a\n1| Kernel panic\n", "Kernel panic", true, false, 0},
		"no start":           {"no init found\nKernel panic\n", "", "Kernel panic", false, false, 0},
		"broken init":        {"guest: no device\nTOKEN exit 125\n", "", "guest: no device", false, true, 125},
		"not a status":       {"TOKEN start\nTOKEN exit x\n", "", "", true, false, 0},
		"words without both": {"TOKEN start\nexit 0\nTOKENexit 0\n", "1| exit 0\n1| TOKENexit 0\n", "TOKENexit 0", true, false, 0},
	} {
		for _, size := range []int{1, 3, 1000} {
			console, out := newConsole("1| ")
			for in := c.in; in != ""; in = in[min(size, len(in)):] {
				if n, err := console.Write([]byte(in[:min(size, len(in))])); err != nil || n != min(size, len(in)) {
					t.Fatalf("%s: Write: %d, %v", name, n, err)
				}
			}
			console.flush()
			words := "it had said nothing"
			if c.last != "" {
				words = fmt.Sprintf("its last line: %q", c.last)
			}
			if out.String() != c.out || console.lastWords() != words {
				t.Errorf("%s, in pieces of %d: %s, output %q", name, size, console.lastWords(), out.String())
			}
			if console.started != c.started || console.ended != c.ended || console.status != c.status {
				t.Errorf("%s, in pieces of %d: started %v, ended %v, status %d", name, size, console.started, console.ended, console.status)
			}
		}
	}
}

func TestConsoleCutsEndlessLines(t *testing.T) {
	console, out := newConsole("")
	_, _ = console.Write([]byte("TOKEN start\n"))
	for range 3 * maxLine / 1000 {
		_, _ = console.Write([]byte(strings.Repeat("x", 1000)))
	}
	if lines := strings.Count(out.String(), "\n"); lines < 2 || len(console.part) >= maxLine {
		t.Errorf("%d lines, and %d bytes wait", lines, len(console.part))
	}
	if !strings.HasPrefix(console.lastWords(), `its last line: "x`) {
		t.Error(console.lastWords())
	}
}

// The lines of two guests do not mix.
func TestConsolesShareOutput(t *testing.T) {
	out, mu := new(strings.Builder), new(sync.Mutex)
	var writers sync.WaitGroup
	for _, prefix := range []string{"1| ", "2| "} {
		c := &console{prefix: prefix, token: "TOKEN", mu: mu, out: out, started: true}
		writers.Go(func() {
			for range 1000 {
				_, _ = c.Write([]byte("some"))
				_, _ = c.Write([]byte("thing\n"))
			}
		})
	}
	writers.Wait()
	for line := range strings.Lines(out.String()) {
		if line != "1| something\n" && line != "2| something\n" {
			t.Fatalf("line %q", line)
		}
	}
}
