package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long guests that were asked to stop may take; shorter in the tests.
var patience = 5 * time.Second

// rig is the guests of one run and what they need of the host.
type rig struct {
	options
	stderr   io.Writer
	dir      string
	places   []place
	consoles []*console
	running  map[int]*guest // by number
}

func newRig(o options, stdout, stderr io.Writer) (*rig, error) {
	size, err := memorySize(o.memory)
	if err != nil {
		return nil, err
	}
	memory, err := memoryDir(size*uint64(len(o.jobs)), "/dev/shm", os.Getenv("TMPDIR"), "/tmp")
	if err != nil {
		return nil, err
	}
	cpus, err := processors()
	if err != nil {
		return nil, err
	}
	r := &rig{options: o, stderr: stderr, running: make(map[int]*guest)}
	if r.dir, err = runDir(o.init); err != nil {
		return nil, err
	}
	mu := new(sync.Mutex)
	for i := range o.jobs {
		c := &console{mu: mu, out: stdout}
		if len(o.jobs) > 1 {
			c.prefix = fmt.Sprintf("%d| ", i+1)
		}
		r.consoles = append(r.consoles, c)
		r.places = append(r.places, place{dir: r.dir, memory: memory, cpu: cpus[(os.Getpid()+i)%len(cpus)]}) // runs side by side differ
	}
	if len(o.jobs) == 2 {
		ends, err := newWire()
		if err != nil {
			r.close()
			return nil, err
		}
		r.places[0].wire, r.places[1].wire = ends[0], ends[1]
	}
	return r, nil
}

// runDir makes the folder of this run. Its name stands on a command line that knows no quoting of its parts.
func runDir(init string) (string, error) {
	dir, err := os.MkdirTemp("", "guests-")
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(init)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "init"), content, 0o700)
	}
	if err == nil && strings.ContainsAny(dir, " \t\n\"") {
		err = fmt.Errorf("%s: guests cannot use a folder of that name; set TMPDIR to another", dir)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

func (r *rig) close() {
	for _, p := range r.places {
		if p.wire != nil {
			_ = p.wire.Close()
		}
	}
	if err := os.RemoveAll(r.dir); err != nil {
		fmt.Fprintln(r.stderr, "guests:", err)
	}
}

// run starts the guests, waits for all of them and returns the exit status.
func (r *rig) run(signals <-chan os.Signal) int {
	ended := make(chan *guest, len(r.jobs))
	if err := r.start(ended); err != nil {
		r.say("%v", err)
		r.kill()
		for range r.running {
			<-ended
		}
		return exitBroken
	}
	limit, overdue := time.After(r.limit), (<-chan time.Time)(nil)
	decided := -1 // the exit status, as soon as something other than the jobs' ends decides it
	stop := func(status int) {
		if decided < 0 {
			decided = status
		}
		limit, overdue = nil, time.After(patience)
		for _, g := range r.running {
			g.ask()
		}
	}
	for len(r.running) > 0 {
		select {
		case g := <-ended:
			delete(r.running, g.number)
			switch {
			case r.first && decided < 0 && g.number == 1:
				stop(r.outcome(1))
			case r.first && decided < 0:
				r.say("guest 2 has ended before guest 1, with status %d", r.outcome(2))
			}
		case <-limit:
			for n, g := range r.running {
				r.say("guest %d still ran at the limit of %v; %s", n, r.limit, g.console.lastWords())
			}
			stop(exitLimit)
		case s := <-signals:
			number := 0
			if signal, ok := s.(syscall.Signal); ok {
				number = int(signal)
			}
			if decided >= 0 {
				r.kill() // it is in a hurry
			}
			stop(exitSignal + number)
		case <-overdue:
			r.kill()
		}
	}
	if decided >= 0 {
		return decided
	}
	status := 0
	for i := range r.jobs {
		if s := r.outcome(i + 1); status == 0 {
			status = s
		}
	}
	return status
}

func (r *rig) start(ended chan<- *guest) error {
	for i := range r.jobs {
		g, err := startGuest(r.options, i+1, r.places[i], r.consoles[i])
		if err != nil {
			return err
		}
		r.running[g.number] = g
		go func() {
			g.wait()
			ended <- g
		}()
	}
	return nil
}

func (r *rig) kill() {
	for _, g := range r.running {
		g.kill()
	}
}

// outcome is the exit status of a guest that has ended. Without one it says what is known.
func (r *rig) outcome(n int) int {
	c := r.consoles[n-1]
	switch {
	case !c.started:
		r.say("guest %d ended before its job began; all that it said:\n%s", n, strings.Join(c.boot, "\n"))
	case !c.ended:
		r.say("guest %d ended without its job's exit status: its kernel crashed or was killed; %s", n, c.lastWords())
	default:
		return c.status
	}
	return exitBroken
}

func (r *rig) say(format string, args ...any) { fmt.Fprintf(r.stderr, "guests: "+format+"\n", args...) }
