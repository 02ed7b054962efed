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

// guest is what a guest tells of itself when no executor is left.
type guest struct {
	PacketsBefore int64         `json:"packets_before"` // what its RDMA device has received when it started
	PacketsAfter  int64         `json:"packets_after"`
	Status        status.Status `json:"status"` // its daemon's
}

// guestsLimit is many times what one application takes, with the start of all that it needs.
const guestsLimit = 5 * time.Minute

// submitInGuests runs jobs in one application on two guests, one of which is driver and Host1, the other Host2 (scripts/rig.d/spark).
func (c *Cluster) submitInGuests(t *testing.T, conf Conf, jobs ...string) (*Run, map[string]guest) {
	t.Helper()
	if err := c.prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.tellIfFailed(t) })
	if out, err := exec.Command(filepath.Join(root, "scripts/spark"), c.Spark).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	arguments := strings.Join(c.arguments(conf, "", jobs), "\x00") + "\x00"
	if err := os.WriteFile(filepath.Join(c.dir, "arguments"), []byte(arguments), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), guestsLimit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "build/rig/guests", "-mem", "1280M", "-limit", guestsLimit.String(), "-first", "-share", c.dir,
		"-env", "DIR="+c.dir, "-env", "SPARK="+c.Spark, "scripts/rig.d/spark", "scripts/rig.d/spark")
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // as it comes
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }

	r := &Run{cluster: c, ended: make(chan struct{})}
	r.err = cmd.Run()
	r.stdout.WriteString(c.read("out"))
	r.stderr.WriteString(c.read("err"))
	close(r.ended)
	r.Wait(t)

	guests := map[string]guest{}
	for _, host := range []string{Host1, Host2} {
		var g guest
		if err := json.Unmarshal([]byte(c.read(host+".json")), &g); err != nil {
			t.Fatalf("what %s counted: %v\n%s", host, err, c.read(host+".json"))
		}
		guests[host] = g
	}
	return r, guests
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
	for _, pattern := range []string{"err", "log/*.log", "h*/*.log", "h*/executors/*/*/stderr.log"} {
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
