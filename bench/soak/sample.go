package soak

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weft/internal/status"
)

// answer is how long a daemon may take to tell of itself; a stopped one never does.
const answer = time.Second

// Watch samples every daemon of the hosts that scripts/cluster made in dir, until ctx ends. Hosts and daemons may come and go meanwhile; one that
// does not answer in a second has no sample then.
func Watch(ctx context.Context, dir string, every time.Duration) *Run {
	r, began := &Run{}, time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		r.sample(ctx, dir, time.Since(began).Seconds())
		select {
		case <-ctx.Done():
			return r
		case <-tick.C:
		}
	}
}

func (r *Run) sample(ctx context.Context, dir string, at float64) {
	r.Seconds = at
	sockets, _ := filepath.Glob(filepath.Join(dir, "h*/tmp/weft-*", status.AdminSocket)) // the pattern is right
	for _, socket := range sockets {
		host, _, _ := strings.Cut(strings.TrimPrefix(socket, dir+"/"), "/")
		daemon, values, err := look(ctx, filepath.Dir(socket))
		if err != nil {
			continue // it has ended, or was stopped
		}
		values["kept_links"] = keptLinks(filepath.Join(dir, host, "tmp"))
		l := r.life(host, daemon)
		l.Samples = append(l.Samples, Sample{at, values})
	}
}

// life is of that daemon.
func (r *Run) life(host, daemon string) *Life {
	i := slices.IndexFunc(r.Lives, func(l *Life) bool { return l.Host == host && l.Daemon == daemon })
	if i < 0 {
		i, r.Lives = len(r.Lives), append(r.Lives, &Life{Host: host, Daemon: daemon})
	}
	return r.Lives[i]
}

// look gives all figures of the daemon of a socket directory but that of links, and its id.
func look(ctx context.Context, dir string) (daemon string, values map[string]float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	s, err := status.Get(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	if values, err = metrics(ctx, dir); err != nil {
		return "", nil, err
	}
	if values["rss"], values["fds"], err = process(s.PID); err != nil {
		return "", nil, err
	}
	values["arenas"] = float64(s.Memory.ReceiveBytes + s.Memory.UpcallBytes)
	for _, session := range s.Sessions {
		if session.Executor == "driver" {
			continue
		}
		if rss, fds, err := process(int(session.PID)); err == nil { // else it has ended
			values["executors_rss"] += rss
			values["executors_fds"] += fds
		}
	}
	values["socket_files"], values["log"] = socketDir(dir)
	return s.DaemonID, values, nil
}

// metrics gives the figures that are sums of a metric of the daemon. One with labels is not there before its first value, which is none yet.
func metrics(ctx context.Context, dir string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://weft/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := status.Client(dir).Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics of the daemon in %s: %s", dir, res.Status)
	}
	sums := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name, _, _ = strings.Cut(name, "{"); name == "#" {
			continue
		}
		i := slices.IndexFunc(Figures, func(f Figure) bool { return f.metrics == name })
		if i < 0 {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metrics of the daemon in %s: %q: %w", dir, lines.Text(), err)
		}
		sums[Figures[i].Name] += v
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("metrics of the daemon in %s: %w", dir, err)
	}
	return sums, nil
}

// process gives the resident bytes and the open descriptors of one.
func process(pid int) (rss, fds float64, err error) {
	proc := fmt.Sprintf("/proc/%d", pid)
	b, err := os.ReadFile(proc + "/statm")
	if err != nil {
		return 0, 0, err
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0, 0, fmt.Errorf("%s/statm: %q: %w", proc, b, err)
	}
	open, err := os.ReadDir(proc + "/fd")
	return resident * float64(os.Getpagesize()), float64(len(open)), err
}

// socketDir gives how many files a socket directory has, and the bytes of the daemon's logs in it.
func socketDir(dir string) (files, log float64) {
	walk(dir, func(path string, info fs.FileInfo) {
		files++
		if strings.HasPrefix(info.Name(), "daemon.log") {
			log += float64(info.Size())
		}
	})
	return files, log
}

// keptLinks counts the daemon's links to map outputs, which lie in Spark's local directories.
func keptLinks(dir string) (n float64) {
	walk(dir, func(path string, _ fs.FileInfo) {
		if strings.Contains(path, "/weft-kept-") {
			n++
		}
	})
	return n
}

// walk passes over what others remove meanwhile.
func walk(dir string, file func(path string, info fs.FileInfo)) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			file(path, info)
		}
		return nil
	})
}
