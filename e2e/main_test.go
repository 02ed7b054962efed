//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"testing"
)

// current is the cluster that tests share. Starting one takes seconds, so it stays until a test wants another.
var current struct {
	key string
	*Cluster
}

// cluster returns a running cluster of that Spark version and number of hosts (2 or 3), its Workers with the external shuffle service.
// Arguments of `scripts/cluster up` give a cluster of its own kind.
func cluster(t *testing.T, version string, hosts int, args ...string) *Cluster {
	t.Helper()
	key := fmt.Sprint(version, hosts, args)
	if current.key != key {
		dropCluster(t.Errorf)
		c, err := startCluster(clusterName(), version, hosts, append([]string{"--ess", "--quick", "--memory", "3g"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		current.key, current.Cluster = key, c
	}
	return current.Cluster
}

// clusterName keeps runs apart that go on at the same time: each needs its own E2E_NAME (a name with WEFT_ would be taken for an option of the
// daemon).
func clusterName() string {
	if name := os.Getenv("E2E_NAME"); name != "" {
		return name
	}
	return "hosts"
}

func dropCluster(complain func(string, ...any)) {
	if current.Cluster == nil {
		return
	}
	if err := current.stop(); err != nil {
		complain("%v", err)
	}
	current.key, current.Cluster = "", nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	dropCluster(func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
		code = 1
	})
	os.Exit(code)
}
