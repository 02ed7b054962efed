package doctor

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// javaPatience is for a JVM on a busy machine.
const javaPatience = 20 * time.Second

var javaVersion = regexp.MustCompile(`version "([^"]+)"`)

func (m *machine) java(ctx context.Context) Result {
	const todo = "install a JRE 17 (Debian: openjdk-17-jre-headless), or set JAVA_HOME; only the daemon runs without"
	path, err := m.find("JAVA_HOME", "java")
	if err != nil {
		return fail(todo, "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, javaPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return fail(todo, "%s -version: %v", path, err)
	}
	match := javaVersion.FindSubmatch(out)
	if match == nil {
		first, _, _ := bytes.Cut(out, []byte("\n"))
		return warn("Java 17 and 21 are tested", "%s: %s", path, first)
	}
	return ok("%s, version %s", path, match[1])
}

var sparkCore = regexp.MustCompile(`spark-core_([0-9.]+)-(.+)\.jar$`)

func (m *machine) spark(context.Context) Result {
	const todo = "set SPARK_HOME to an unpacked Spark; only the daemon runs without"
	home := m.getenv("SPARK_HOME")
	if home == "" {
		submit, err := m.find("SPARK_HOME", "spark-submit")
		if err != nil {
			return warn(todo, "%v", err)
		}
		home = filepath.Dir(filepath.Dir(submit))
	}
	jars, err := filepath.Glob(filepath.Join(home, "jars", "spark-core_*.jar"))
	if err != nil || len(jars) == 0 {
		return warn(todo, "%s has no jars/spark-core_*.jar", home)
	}
	match := sparkCore.FindStringSubmatch(jars[0])
	if match == nil {
		return warn(todo, "%s is of no known version", jars[0])
	}
	return ok("%s, version %s for Scala %s", home, match[2], match[1])
}

// find looks for a program below the home that a variable names, else in PATH. The result has no symbolic links.
func (m *machine) find(homeVariable, name string) (string, error) {
	if home := m.getenv(homeVariable); home != "" {
		path := filepath.Join(home, "bin", name)
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%s is set but %w", homeVariable, err)
		}
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("neither %s nor %s in PATH", homeVariable, name)
	}
	return filepath.EvalSymlinks(path)
}
