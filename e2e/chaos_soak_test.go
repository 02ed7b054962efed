//go:build e2e

package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"weft/internal/chaos"
)

// A soak has the daemons stay from one application to the next, so that what they hold at rest can be compared; and that of the second host
// is never killed, though it suffers everything else.

// each is how many faults an application suffers at most: in a soak fewer, so that daemons rest more often.
func each() int {
	if *chaosSoak != "" {
		return 4
	}
	return perApplication
}

// soakHost is the host of a fault, which it would be by turns.
func soakHost(f chaos.Fault, turn int) int {
	if *chaosSoak != "" && (f.Kind() == "daemon kill" || f.Kind() == "sockets remove") {
		return 1
	}
	return turn
}

func soakConf() Conf {
	if *chaosSoak == "" {
		return nil
	}
	return Conf{"spark.weft.daemon.grace": "24h"}
}

// checkRest checks that nothing but daemons is left of an application, and that they know of none.
func (c *Cluster) checkRest(t *testing.T) {
	t.Helper()
	c.AwaitIdle(t, patience, "weft")
	c.eventually(t, "daemons have no session", func() bool {
		for _, host := range c.Hosts {
			if s := c.at(host); s == nil || len(s.Sessions) != 0 {
				return false
			}
		}
		return true
	})
	c.checkLogs(t)
}

// benchFetch measures a row of the fetch benchmark, on hosts of its own, while the others rest.
func benchFetch(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "build/weft"), "bench", "fetch", "--root", root, "--out", *chaosSoak,
		"--rounds", "1", "--row", "1s", "--block", "1024,1048576", "--executor-memory", "1g")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, log.String())
	}
	t.Log(out.String())
}
