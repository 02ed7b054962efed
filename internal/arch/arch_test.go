package arch

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func matches(pattern, pkg string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(pkg, prefix+"/")
	}
	return pattern == pkg
}

// ruleOf is the most specific entry for pkg.
func ruleOf(pkg string) (list []string, ok bool) {
	if list, ok = allowed[pkg]; ok {
		return list, true
	}
	for pattern, list := range allowed {
		if matches(pattern, pkg) {
			return list, true
		}
	}
	return nil, false
}

// What packages import, tests aside, is in the table.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "weft/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	n := 0
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); n++ {
		fields := strings.Fields(s.Text())
		pkg := fields[0]
		list, ok := ruleOf(pkg)
		if !ok {
			t.Errorf("%s is not in the table of rules_test.go: say there what it may import", pkg)
			continue
		}
		for _, imported := range fields[1:] {
			if !strings.HasPrefix(imported, "weft/") {
				continue
			}
			good := false
			for _, pattern := range list {
				good = good || matches(pattern, imported)
			}
			if !good {
				t.Errorf("%s imports %s, which ARCHITECTURE.md's rule does not allow (internal/arch/rules_test.go)", pkg, imported)
			}
		}
	}
	if n < 10 {
		t.Fatalf("only %d packages were looked at", n)
	}
}
