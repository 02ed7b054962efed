//go:build rdma

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weft/internal/status"
)

// guest is what a guest tells of itself when an application's executors have ended.
type guest struct {
	PacketsBefore int64         `json:"packets_before"` // what its RDMA device has received when it started
	PacketsAfter  int64         `json:"packets_after"`
	Status        status.Status `json:"status"` // its daemon's; the zero value where there is none
}

// guestsLimit is many times what the applications take, with the start of all that they need.
const guestsLimit = 8 * time.Minute

// guestApp is an application on two guests: what it is given, and what came of it.
type guestApp struct {
	*Run
	name   string
	Guests map[string]guest // by host, when its executors had ended
}

// prepareInGuests makes the cluster's folder anew, for applications in guests.
func (c *Cluster) prepareInGuests(t *testing.T) {
	t.Helper()
	if err := c.prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.tellIfFailed(t) })
	if out, err := exec.Command(filepath.Join(root, "scripts/spark"), c.Spark).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// inGuest adds an application of these arguments of spark-submit. They run in the order of their names.
func (c *Cluster) inGuest(t *testing.T, name string, arguments ...string) *guestApp {
	t.Helper()
	return c.addGuestApp(t, name, "arguments", arguments)
}

// inGuestProgram adds a program that submits applications itself, to spark://h0:7077 by DIR/spark.
func (c *Cluster) inGuestProgram(t *testing.T, name string, command ...string) *guestApp {
	t.Helper()
	return c.addGuestApp(t, name, "program", command)
}

func (c *Cluster) addGuestApp(t *testing.T, name, file string, words []string) *guestApp {
	t.Helper()
	a := &guestApp{Run: &Run{cluster: c, ended: make(chan struct{})}, name: name}
	if err := os.MkdirAll(a.path(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.path(file), []byte(strings.Join(words, "\x00")+"\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

// runGuests runs the applications in two guests, one of which is driver and Host1, the other Host2 (scripts/rig.d/spark). One that fails fails the
// test, and those after it do not run.
func (c *Cluster) runGuests(t *testing.T, memory string, apps ...*guestApp) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guestsLimit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "build/rig/guests", "-mem", memory, "-limit", guestsLimit.String(), "-first", "-share", c.dir,
		"-env", "DIR="+c.dir, "-env", "SPARK="+c.Spark, "scripts/rig.d/spark", "scripts/rig.d/spark")
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // as it comes
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	for _, a := range apps {
		a.collect(t, err)
	}
}

func (a *guestApp) path(name string) string {
	return filepath.Join(a.cluster.dir, "apps", a.name, name)
}

// collect reads what came of the application.
func (a *guestApp) collect(t *testing.T, err error) {
	t.Helper()
	read := func(name string) []byte {
		b, _ := os.ReadFile(a.path(name))
		return b
	}
	a.err, a.Guests = err, map[string]guest{}
	a.stdout.Write(read("out"))
	a.stderr.Write(read("err"))
	close(a.ended)
	a.Wait(t)
	if m := connectedLine.FindStringSubmatch(a.Driver); m != nil {
		a.App = m[1]
	}
	for _, host := range []string{Host1, Host2} {
		var g guest
		if err := json.Unmarshal(read(host+".json"), &g); err != nil {
			t.Fatalf("what %s counted: %v\n%s", host, err, read(host+".json"))
		}
		a.Guests[host] = g
	}
}

// read is a file of the cluster's, empty where there is none.
func (c *Cluster) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(c.dir, name))
	return string(b)
}

// tellIfFailed shows the ends of all logs.
func (c *Cluster) tellIfFailed(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, pattern := range []string{"apps/*/err", "log/*.log", "h*/*.log", "h*/executors/*/*/stderr.log"} {
		files, err := filepath.Glob(filepath.Join(c.dir, pattern))
		if err != nil {
			t.Error(err)
		}
		for _, file := range files {
			name := strings.TrimPrefix(file, c.dir+"/")
			t.Logf("%s:\n%s", name, tail(c.read(name), 15))
		}
	}
}
