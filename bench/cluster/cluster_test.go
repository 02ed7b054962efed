package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The script's own words come with its exit status, and the log that has the others.
func TestFailureTellsWhatTheScriptSaid(t *testing.T) {
	root := t.TempDir()
	if _, err := Of(root, "hosts"); err == nil || !strings.Contains(err.Error(), "no source tree of weft") {
		t.Errorf("without scripts: %v", err)
	}
	script := filepath.Join(root, "scripts", "cluster")
	if err := os.Mkdir(filepath.Dir(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ $1 = up ] || exit 3\necho 'spark: fetching'\n"+
		"echo 'spark: unknown version 9' >&2\necho 'cluster: up failed, taking it down'\necho other words\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(root, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c, err := Of(root, "hosts")
	if err != nil {
		t.Fatal(err)
	}
	c.Log = log
	const want = `cluster up: exit status 3 (its last words are "spark: unknown version 9"; log: `
	if err := c.Run(t.Context(), "up"); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), log.Name()) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := c.Output(t.Context(), "cpu"); err == nil || !strings.HasPrefix(err.Error(), "cluster cpu: exit status 3 (log: ") {
		t.Errorf("it said nothing, and what another said is not its: %v", err)
	}
}
