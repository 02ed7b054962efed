package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeKernel runs a job as a guest would, but on the host: it knows the same words, prints the same lines and stops when asked. The job
// may crash it, make it deaf, or have it end before the job starts.
const fakeKernel = `#!/usr/bin/env bash
for word in "$@"; do case $word in GUEST*=*) export "$word" ;; esac; done
mapfile -d '' -t job <"$GUEST_DIR/$GUEST.job"
mapfile -d '' -t env <"$GUEST_DIR/$GUEST.env"
exec 3<&0
echo "booting" >&2
[[ ${job[1]} != *unbootable ]] || exit 1
printf '%s start\r\n' "${job[0]}"
env "${env[@]}" KERNEL=$$ "${job[1]}" 3<&- </dev/null &
pid=$!
[[ ${job[1]} == *deaf ]] || { read -r _ && kill $pid; } <&3 &
wait $pid
printf '%s exit %d\r\n' "${job[0]}" $?
kill -9 -- -$$
`

// result is what a run of the tool showed.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// runFake runs jobs, given as shell scripts by name, on the fake kernel.
func runFake(t *testing.T, signals <-chan os.Signal, flags []string, names ...string) result {
	t.Helper()
	dir := t.TempDir()
	runs := t.TempDir()
	t.Setenv("TMPDIR", runs)
	args := append([]string{"-kernel", writeProgram(t, dir+"/linux", fakeKernel), "-init", writeProgram(t, dir+"/init", "")}, flags...)
	for _, name := range names {
		args = append(args, writeProgram(t, filepath.Join(dir, name), "#!/usr/bin/env bash\n"+fakeJobs[name]))
	}
	var stdout, stderr strings.Builder
	start := time.Now()
	code := run(args, &stdout, &stderr, signals)
	r := result{code, stdout.String(), stderr.String(), time.Since(start)}
	if left, err := os.ReadDir(runs); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("processes left behind: %q", left)
	}
	return r
}

// processesOf are the command lines that contain the text.
func processesOf(t *testing.T, text string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, _ := os.ReadFile(file) // it may have ended meanwhile
		if strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

var fakeJobs = map[string]string{
	"good":       "echo hello $GUEST",
	"three":      "echo hello; exit 3",
	"four":       "sleep 0.2; exit 4",
	"env":        `printf '%s\n' "$A"`,
	"crash":      "echo last words; kill -9 -- -$KERNEL",
	"forever":    "echo at work; sleep 1000",
	"deaf":       "echo at work; sleep 1000",
	"unbootable": "",
}

func TestRun(t *testing.T) {
	patience = 300 * time.Millisecond
	defer func() { patience = 5 * time.Second }()
	for name, c := range map[string]struct {
		flags  []string
		jobs   []string
		code   int
		stdout []string // lines, in any order
		stderr []string // parts
	}{
		"good":       {nil, []string{"good"}, 0, []string{"hello 1"}, nil},
		"bad":        {nil, []string{"three"}, 3, []string{"hello"}, nil},
		"two":        {nil, []string{"good", "good"}, 0, []string{"1| hello 1", "2| hello 2"}, nil},
		"second bad": {nil, []string{"good", "three"}, 3, []string{"1| hello 1", "2| hello"}, nil},
		"both bad":   {nil, []string{"four", "three"}, 4, []string{"2| hello"}, nil},
		"env":        {[]string{"-env", "A=b 'c' \"$D"}, []string{"env"}, 0, []string{"b 'c' \"$D"}, nil},
		"crash":      {nil, []string{"crash"}, 125, []string{"last words"}, []string{"guest 1 ended without", "last words"}},
		"unbootable": {
			nil,
			[]string{"good", "unbootable"},
			125,
			[]string{"1| hello 1"},
			[]string{"guest 2 ended before its job began", "booting"},
		},
		"limit": {
			[]string{"-limit", "1s"},
			[]string{"good", "forever"},
			124,
			[]string{"1| hello 1", "2| at work"},
			[]string{`guest 2 still ran at the limit of 1s; its last line: "at work"`},
		},
		"limit, deaf": {[]string{"-limit", "1s"}, []string{"deaf"}, 124, []string{"at work"}, []string{"guest 1 still ran"}},
		"first":       {[]string{"-first"}, []string{"four", "forever"}, 4, []string{"2| at work"}, nil},
		"first, deaf": {[]string{"-first"}, []string{"four", "deaf"}, 4, []string{"2| at work"}, nil},
		"first second": {
			[]string{"-first"},
			[]string{"four", "three"},
			4,
			[]string{"2| hello"},
			[]string{"guest 2 has ended before guest 1, with status 3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := runFake(t, nil, c.flags, c.jobs...)
			if r.code != c.code {
				t.Errorf("exit status %d, not %d", r.code, c.code)
			}
			for _, line := range c.stdout {
				if !strings.Contains("\n"+r.stdout, "\n"+line+"\n") {
					t.Errorf("no line %q in the output", line)
				}
			}
			for _, part := range c.stderr {
				if !strings.Contains(r.stderr, part) {
					t.Errorf("no %q in the messages", part)
				}
			}
			if strings.Count(r.stdout, "\n") != len(c.stdout) || (r.stderr == "") != (c.stderr == nil) || r.took > 5*time.Second {
				t.Errorf("after %v, messages %q, output %q", r.took, r.stderr, r.stdout)
			}
		})
	}
}

// A signal stops the guests, a second one at once.
func TestRunIsInterrupted(t *testing.T) {
	for _, count := range []int{1, 2} {
		signals := make(chan os.Signal, 2)
		job := "forever"
		if count == 2 {
			job = "deaf"
		}
		time.AfterFunc(500*time.Millisecond, func() {
			for range count {
				signals <- syscall.SIGTERM
			}
		})
		if r := runFake(t, signals, nil, job, job); r.code != exitSignal+int(syscall.SIGTERM) || r.took > 4*time.Second {
			t.Errorf("%d signals: %+v", count, r)
		}
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	tree(t)
	var stdout, stderr strings.Builder
	if code := run([]string{"-mtu", "1"}, &stdout, &stderr, nil); code != exitUsage || !strings.Contains(stderr.String(), "guests: -mtu 1") {
		t.Errorf("wrong flag: %d, %s", code, stderr.String())
	}
	if code := run([]string{"-h"}, &stdout, &stderr, nil); code != 0 {
		t.Errorf("help: %d", code)
	}
	stderr.Reset()
	code := run([]string{"-mem", "999999G", "job"}, &stdout, &stderr, nil)
	if code != exitBroken || !strings.Contains(stderr.String(), "enlarge /dev/shm") {
		t.Errorf("no memory: %d, %s", code, stderr.String())
	}
	t.Setenv("TMPDIR", t.TempDir()+"/with space")
	if err := os.Mkdir(os.Getenv("TMPDIR"), 0o755); err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	if code := run([]string{"job"}, &stdout, &stderr, nil); code != exitBroken || !strings.Contains(stderr.String(), "TMPDIR") {
		t.Errorf("folder with a space: %d, %s", code, stderr.String())
	}
}
