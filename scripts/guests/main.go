// Command guests runs one or two jobs as root, each in a User-Mode-Linux guest of its own that has soft-RoCE: verbs and the RDMA
// connection manager work there as on hosts with a device. A guest sees the host's file tree, read-only; two guests share a wire.
// It builds no kernel (scripts/rig-kernel does), needs no rights on the host, and its guests reach no network but each other.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses beside those of the jobs; the same as of timeout(1) and of programs that run others.
const (
	exitUsage  = 2
	exitLimit  = 124
	exitBroken = 125
	exitSignal = 128 // and the signal's number
)

const usage = `Usage: guests [flags] JOB [JOB2]

Runs each JOB, a program or script of the host, as root in a User-Mode-Linux guest that has the RDMA device rxe0.

  one guest   rxe0 is on the netdev rdma0, which has the addresses 10.77.0.1 and 10.77.0.2
  two guests  rxe0 is on the netdev vec0, the wire between them; guest N is 10.77.0.N, also called guestN

A job finds the host's files, read-only, and starts in the present working directory. /tmp, /run and /dev/shm are the guest's
own and empty, but for the folders of -share, of the job and the working one. Its environment is PATH, HOME, TMPDIR, USER, GUEST
(1 or 2), GUESTS (how many) and what -env says. Guests have one processor each and no way to the network.

Output comes line by line, with "1| " or "2| " before it where there are two guests. The exit status is the first of the jobs' that
is not 0; 124: the time limit came; 125: a guest did not start or broke down; 2: wrong usage. A guest that is stopped, at the limit or
by a signal, has 5 seconds to end its processes (SIGTERM) and to write what they left to shared folders.

Flags:
`

func main() {
	signals := make(chan os.Signal, 4)
	// With SIGPIPE, so that nobody's reading the output does not end this program before its guests.
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, signals))
}

func run(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "guests:", err)
		return exitUsage
	}
	r, err := newRig(o, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "guests:", err)
		return exitBroken
	}
	defer r.close()
	return r.run(signals)
}
