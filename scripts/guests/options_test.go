package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree is a working directory with a kernel, an init and two jobs.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"build/rig/linux", "scripts/rig.d/init", "job", "job2"} {
		writeProgram(t, filepath.Join(dir, name), "#!/bin/sh\n")
	}
	t.Chdir(dir)
	return dir
}

func writeProgram(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParse(t *testing.T) {
	dir := tree(t)
	if err := os.Symlink("job", "link"); err != nil {
		t.Fatal(err)
	}
	o, err := parse([]string{
		"-mem", "2G", "-limit", "90s", "-first", "-env", "A=1", "-env", "B=a b\n'\"$C", "-share", "build", "job2", "link",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.kernel != dir+"/build/rig/linux" || o.init != dir+"/scripts/rig.d/init" {
		t.Errorf("kernel %s, init %s", o.kernel, o.init)
	}
	if o.memory != "2G" || o.limit != 90*time.Second || o.mtu != 4300 || !o.first {
		t.Errorf("got %+v", o)
	}
	if got := strings.Join(o.env, "|"); got != "A=1|B=a b\n'\"$C" {
		t.Errorf("environment %q", got)
	}
	if got := strings.Join(append(o.shares, o.jobs...), " "); got != dir+"/build "+dir+"/job2 "+dir+"/job" {
		t.Errorf("folders and jobs %q", got)
	}
}

func TestParseListsAllThatIsWrong(t *testing.T) {
	tree(t)
	if err := os.Chmod("job2", 0o644); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string][]string{
		"":                               {"0 jobs: one or two"},
		"job job job":                    {"3 jobs: one or two"},
		"job2":                           {"job 1", "not executable"},
		"build":                          {"job 1", "not executable"},
		"-kernel none -init none job":    {"no kernel", "make rig", "no init", "root of the source tree"},
		"-mem 1 -limit 0s -mtu 100 job":  {`-mem "1"`, "-limit 0s", "-mtu 100"},
		"-mem G job":                     {`-mem "G"`},
		"-mem 1GG job":                   {`-mem "1GG"`},
		"-env =1 -env 1A=2 -env A job":   {`-env "=1"`, `-env "1A=2"`, `-env "A"`},
		"-share job -share / -share x j": {"job is not a folder", "/ cannot be shared", "stat x", "job 1: stat j"},
		"-first job":                     {"-first: there is one job only"},
		"-nonsense job":                  {"-nonsense"},
	} {
		_, err := parse(strings.Fields(line), nil)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q is not in: %v", line, part, err)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	if _, err := parse([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v", err)
	}
	for _, part := range []string{"Usage: guests", "-share", "-limit duration", "10.77.0.2"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q is not in the help:\n%s", part, out.String())
		}
	}
}

func TestMemorySize(t *testing.T) {
	for size, want := range map[string]uint64{"512M": 512 << 20, "1G": 1 << 30, "": 0, "M": 0, "0M": 0, "1K": 0, "-1M": 0} {
		got, err := memorySize(size)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", size, got, err)
		}
	}
}
