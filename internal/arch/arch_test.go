package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "weft"
)

// source is one Go file: its path below the root and what it imports.
type source struct {
	path    string
	imports []string
}

func (s source) pkg() string  { return path.Join(module, path.Dir(s.path)) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// sources reads the files themselves, whatever their build tags: what is behind a tag obeys the rule, too, and `go test`, which knows
// what a test has read, never shows an old result.
func sources(t *testing.T) (all []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != root && (base[0] == '.' || base == "build" || base == "testdata" || base == "target") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(rel)}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files were found: is the root %q?", len(all), root)
	}
	return all
}

func matches(pattern, pkg string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(pkg, prefix+"/")
	}
	return pattern == pkg
}

// ruleOf is the most specific entry of the table for pkg: its own, or that of the nearest folder.
func ruleOf(pkg string) (entry string, ok bool) {
	if _, ok := allowed[pkg]; ok {
		return pkg, true
	}
	for pattern := range allowed {
		if matches(pattern, pkg) && len(pattern) > len(entry) {
			entry = pattern
		}
	}
	return entry, entry != ""
}

// What packages import of this module, tests aside, is in the table, and the table has no entry for nothing.
func TestImports(t *testing.T) {
	used := make(map[string]bool)
	missing := make(map[string]bool)
	for _, s := range sources(t) {
		entry, ok := ruleOf(s.pkg())
		if !ok {
			missing[s.pkg()] = true
			continue
		}
		used[entry] = true
		for _, imported := range s.imports {
			if s.isTest() || !strings.HasPrefix(imported, module+"/") {
				continue
			}
			good := false
			for _, pattern := range allowed[entry] {
				good = good || matches(pattern, imported)
			}
			if !good {
				t.Errorf("%s imports %s, which ARCHITECTURE.md's rule does not allow (internal/arch/rules_test.go)", s.path, imported)
			}
		}
	}
	for pkg := range missing {
		t.Errorf("%s is not in the table of rules_test.go: say there what it may import", pkg)
	}
	for entry := range allowed {
		if !used[entry] {
			t.Errorf("the table of rules_test.go has an entry %s, but there is no such package", entry)
		}
	}
}

// What can break memory is where one looks for it.
func TestUnsafeAndC(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			switch {
			case imported == "unsafe" && !mayBeUnsafe(s.path):
				t.Errorf("%s imports unsafe; only files named *_unsafe.go may, each of which opens with why it is safe", s.path)
			case imported == "C" && s.pkg() != module+"/verbs":
				t.Errorf("%s imports C; only package verbs may", s.path)
			}
		}
	}
}

func mayBeUnsafe(file string) bool {
	generated := strings.HasSuffix(file, ".pb.go")
	return generated || strings.HasSuffix(file, "_unsafe.go") || strings.HasSuffix(file, "_unsafe_test.go")
}

func TestRuleOf(t *testing.T) {
	for pkg, want := range map[string]string{
		"weft/shuffle": "weft/shuffle", "weft/shuffle/mem": "weft/shuffle/mem", "weft/bench/fetch": "weft/bench/...", "weft/shuffle/new": "", "weft": "",
	} {
		if got, _ := ruleOf(pkg); got != want {
			t.Errorf("%s: entry %q, not %q", pkg, got, want)
		}
	}
}
