package main

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weft/internal/status"
)

// waitReady DIR: until the daemon of DIR answers.
func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		_, err := status.Get(ctx, ts.MkAbs(args[0]))
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no daemon: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// exitCode CODE PROGRAM ARG...: the program ends with that code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if want, _ := strconv.Atoi(args[0]); code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// sockets DIR: leaves the sockets of a daemon that died.
func sockets(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range []string{"weft-v1.sock", status.AdminSocket} {
		l, err := net.Listen("unix", filepath.Join(ts.MkAbs(args[0]), name))
		ts.Check(err)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		ts.Check(l.Close())
	}
}
