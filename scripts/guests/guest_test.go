//go:build rdma

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// boot runs jobs, given as shell scripts, in real guests.
func boot(t *testing.T, flags []string, scripts ...string) result {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	built, err := os.ReadFile(root + "/build/rig/linux")
	if err != nil {
		t.Fatalf("no kernel for the guests: %v; run 'make rig'", err)
	}
	// A kernel of its own, by which its processes are known.
	dir := t.TempDir()
	kernel := writeProgram(t, dir+"/linux", string(built))
	t.Setenv("TMPDIR", t.TempDir())
	args := append([]string{"-kernel", kernel, "-init", root + "/scripts/rig.d/init", "-mem", "256M"}, flags...)
	for i, script := range scripts {
		args = append(args, writeProgram(t, fmt.Sprintf("%s/job%d", dir, i+1), "#!/usr/bin/env bash\n"+script))
	}
	var stdout, stderr strings.Builder
	start := time.Now()
	code := run(args, &stdout, &stderr, nil)
	r := result{code, stdout.String(), stderr.String(), time.Since(start)}
	t.Logf("%.1f s, status %d\n%s%s", r.took.Seconds(), r.code, r.stdout, r.stderr)
	if left := running(t, kernel); left > 0 {
		t.Errorf("%d processes were left behind", left)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return r
}

// running counts the processes of a kernel. Those of the guest's programs have another command line, but the same executable.
func running(t *testing.T, kernel string) (count int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if exe, _ := os.Readlink(link); exe == kernel {
			count++
		}
	}
	return count
}

func (r result) expect(t *testing.T, code int, lines ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, not %d", r.code, code)
	}
	for _, line := range lines {
		if !strings.Contains("\n"+r.stdout, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

func TestGuest(t *testing.T) {
	before := time.Now()
	r := boot(t, nil, `
echo "user $(id -u), guest $GUEST of $GUESTS, $(hostname), $(ulimit -l), $HOME, $TMPDIR"
echo "in $PWD"
echo "seconds $(date +%s)"
env | cut -d= -f1 | sort | xargs
[[ -w $HOME && -w /run && -w /dev/shm ]] && touch "$TMPDIR/file" && ! touch /etc/file 2>/dev/null && echo "files are as they should be"
rdma link
getent hosts guest2
ls /dev/infiniband | xargs
busybox ping -c 1 -q 10.77.0.2 >/dev/null && echo "10.77.0.2 answers"
exit 0`)
	cwd, _ := os.Getwd()
	r.expect(t, 0,
		"user 0, guest 1 of 1, guest1, unlimited, /tmp/home, /tmp", "in "+cwd, "GUEST GUESTS HOME PATH PWD SHLVL TMPDIR USER _",
		"files are as they should be", "10.77.0.2 answers", "10.77.0.2       guest2", "rdma_cm uverbs0")
	if !strings.Contains(r.stdout, "link rxe0/1 state ACTIVE physical_state LINK_UP netdev rdma0") {
		t.Error("rxe0 is not there or not active")
	}
	_, after, _ := strings.Cut(r.stdout, "seconds ")
	var seconds int64
	if _, err := fmt.Sscan(after, &seconds); err != nil || seconds < before.Unix() || seconds > time.Now().Unix() {
		t.Errorf("the guest's clock shows %d", seconds)
	}
}

func TestStatusOfAGuest(t *testing.T) {
	boot(t, nil, "echo to be\necho -n or not\nexit 3").expect(t, 3, "to be", "or not")
	boot(t, nil, "kill -9 $$").expect(t, 137)
}

func TestEnvironmentOfAGuest(t *testing.T) {
	odd := `a  'b' "c" $d \e` + "\tf=g,h;i#j*"
	boot(t, []string{"-env", "ODD=" + odd, "-env", "LINES2=x\ny", "-env", "EMPTY=", "-env", "HOME=/run"}, `
[[ $ODD == $'`+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(odd)+`' ]] && echo "odd: $ODD"
echo "$LINES2:${EMPTY-unset}:$HOME"`).expect(t, 0, "odd: a  'b' \"c\" $d \\e\tf=g,h;i#j*", "x", "y::/run")
}

func TestSharedFolder(t *testing.T) {
	share := filepath.Join(t.TempDir(), "a folder")
	if err := os.Mkdir(share, 0o755); err != nil {
		t.Fatal(err)
	}
	writeProgram(t, share+"/in", "input\n")
	flags := []string{"-share", share, "-env", "SHARE=" + share}
	r := boot(t, flags, `mkdir "$SHARE/deep" && cat "$SHARE/in" && seq 100000 >"$SHARE/deep/out" && wc -c <"$SHARE/deep/out"`)
	r.expect(t, 0, "input", "588895")
	content, err := os.ReadFile(share + "/deep/out")
	if err != nil || len(content) != 588895 || !strings.HasSuffix(string(content), "\n100000\n") {
		t.Errorf("the host has %d bytes, %v", len(content), err)
	}
}

func TestTwoGuests(t *testing.T) {
	// The second says that it is there by a file; then the first asks it.
	r := boot(t, []string{"-first"}, `
rdma link
for _ in {1..100}; do answer=$(cat </dev/tcp/guest2/7000) && [[ $answer ]] && break; sleep 0.1; done 2>/dev/null
echo "$answer"
busybox ping -c 3 -q -s 4000 10.77.0.2
exit 7`, `
trap 'echo "asked to stop"; exit 1' TERM
while :; do echo "hello from $(hostname)" | busybox nc -l -p 7000; done`)
	r.expect(t, 7, "1| hello from guest2", "2| asked to stop", "1| 3 packets transmitted, 3 packets received, 0% packet loss")
	if !strings.Contains(r.stdout, "1| link rxe0/1 state ACTIVE physical_state LINK_UP netdev vec0") {
		t.Error("rxe0 is not there or not active")
	}
}

func TestLimit(t *testing.T) {
	share := t.TempDir()
	r := boot(t, []string{"-limit", "3s", "-share", share, "-env", "SHARE=" + share}, `
echo "what is known" >"$SHARE/log"
echo "at work"
sleep 1000`)
	r.expect(t, exitLimit, "at work")
	if want := `guests: guest 1 still ran at the limit of 3s; its last line: "at work"`; !strings.Contains(r.stderr, want) {
		t.Errorf("no message %q", want)
	}
	if content, err := os.ReadFile(share + "/log"); string(content) != "what is known\n" {
		t.Errorf("the log says %q, %v", content, err)
	}
	// A job that does not care to be asked is killed.
	boot(t, []string{"-limit", "2s"}, `trap "" TERM; while :; do :; done`).expect(t, exitLimit)
}

func TestGuestWithoutInit(t *testing.T) {
	r := boot(t, []string{"-init", writeProgram(t, t.TempDir()+"/init", "#!/nowhere\n")}, "true")
	r.expect(t, exitBroken)
	if !strings.Contains(r.stderr, "ended before its job began") || !strings.Contains(r.stderr, "panic") {
		t.Error("the message does not tell what happened")
	}
}
