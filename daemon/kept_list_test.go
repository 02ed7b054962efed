package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the list holds, nothing goes but directories for links: neither what lies beside them, nor what one is a link to.
func FuzzKeptList(f *testing.F) {
	kept := keptPrefix + strings.Repeat("0a", 16)
	for _, s := range []string{
		"DIR/" + kept + "\n", "DIR/local\n", "DIR/local/..\nDIR\n/\n", "DIR/" + kept + "/..\n", kept, "DIR/link/" + kept + "\n", "DIR/to/" + kept, "\n\x00\n" + "DIR/absent/" + kept,
	} {
		f.Add(s)
	}
	dir := f.TempDir() // of this process; most inputs leave all as it is
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			f.Fatal(err)
		}
		return path
	}
	stay := []string{write("local/shuffle_0_0_0.data", ""), write("link/other", ""), write("file", ""), write(kept+"b/other", "")}
	if err := os.Mkdir(filepath.Join(dir, "to"), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if _, err := os.Lstat(filepath.Join(dir, kept)); err != nil {
			write(kept+"/1-0/0_1.data", "")
		}
		_ = os.Symlink(filepath.Join(dir, "local"), filepath.Join(dir, "to", kept))
		// Absolute paths of other places than dir are left out: this runs as whoever tests.
		var lines []string
		for line := range strings.SplitSeq(content, "\n") {
			if !strings.HasPrefix(line, "/") || strings.Trim(line, "/") == "" {
				lines = append(lines, strings.ReplaceAll(line, "DIR", dir))
			}
		}
		list := write("list", strings.Join(lines, "\n"))
		_, _ = (&keptList{list}).sweep()
		for _, path := range stay {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%q: %v", content, err)
			}
		}
		// What stays in the list is read the same the next time.
		before, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = (&keptList{list}).sweep()
		if after, err := os.ReadFile(list); err != nil || string(after) != string(before) {
			t.Errorf("%q: the list was %q, then %q (%v)", content, before, after, err)
		}
	})
}
