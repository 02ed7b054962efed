package arch

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// fileName matches a path with a folder and an ending, in backquotes.
var fileName = regexp.MustCompile("`([A-Za-z0-9_./-]+/[A-Za-z0-9_.-]+\\.(?:go|java|proto|md))`")

// The files that ARCHITECTURE.md names are there. J stands for jvmbridge/java.
func TestFilesOfThePageExist(t *testing.T) {
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	names := fileName.FindAllStringSubmatch(string(page), -1)
	if len(names) < 20 {
		t.Fatalf("only %d names were found", len(names))
	}
	for _, match := range names {
		name := match[1]
		if rest, ok := strings.CutPrefix(name, "J/"); ok {
			name = path.Join("jvmbridge/java", rest)
		}
		if _, err := os.Stat(path.Join("../..", name)); err != nil {
			t.Errorf("ARCHITECTURE.md names %s: %v", match[1], err)
		}
	}
}
