//go:build e2e

// Package data_test holds data sets against Hadoop's own programs: those in Spark's jars, and a real HDFS.
package data_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"weft/bigdl/data"
	"weft/bigdl/data/seqfile"
)

const root = "../.."

// run runs a program in the source tree and gives what it prints to standard output.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir = root
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, errs.Bytes(), out.Bytes())
	}
	return out.String()
}

// seqFiles runs the Java program on the Hadoop of a Spark.
func seqFiles(t *testing.T, spark string, args ...string) []string {
	t.Helper()
	run(t, "scripts/spark", spark)
	java := []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", "build/spark/" + spark + "/jars/*", "e2e/data/testdata/SeqFiles.java"}
	return strings.Split(strings.TrimSpace(run(t, "java", append(java, args...)...)), "\n")
}

// seen is what the Java program reads: records, sum of their labels, digest, records after the middle.
type seen struct {
	records, labels int
	digest          string
	late            int
}

func parseSeen(t *testing.T, line string) seen {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 5 || f[0] != "ok" {
		t.Fatalf("Hadoop: %s", line)
	}
	var n [3]int
	for i, s := range []string{f[1], f[2], f[4]} {
		var err error
		if n[i], err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return seen{n[0], n[1], f[3], n[2]}
}

// check compares what Hadoop sees with the report of a part with ten classes of as many records each.
func check(t *testing.T, what string, got seen, p data.Part) {
	t.Helper()
	if got.records != p.Records || got.digest != p.Digest || got.labels != 55*p.Records/10 {
		t.Errorf("%s: Hadoop sees %+v; verify %d records, %s", what, got, p.Records, p.Digest)
	}
	// Markers between the records let a task begin in the middle of a file.
	if got.late == 0 || got.late >= got.records {
		t.Errorf("%s: from the middle, Hadoop sees %d of %d records", what, got.late, got.records)
	}
}

func verify(t *testing.T, location string) data.Report {
	t.Helper()
	r, err := data.Verify(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHadoopReadsSequenceFiles(t *testing.T) {
	dir := t.TempDir()
	images := filepath.Join(dir, "images")
	if err := data.Synthesize(t.Context(), images, data.ImageNet, data.Size{Train: 60, Test: 10, Side: 64}, 1); err != nil {
		t.Fatal(err)
	}
	parts := map[seqfile.Codec]data.Part{}
	args := []string{"read"}
	for _, codec := range seqfile.Codecs {
		s := data.SeqFiles{From: images, To: filepath.Join(dir, string(codec)), Codec: codec, Side: 300, PerFile: 25, Names: codec == seqfile.Snappy}
		if err := data.WriteSeqFiles(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		parts[codec] = verify(t, s.To).Parts[0]
		args = append(args, filepath.Join(s.To, "train"))
	}
	for _, spark := range []string{"3.1.3", "3.5.9"} {
		t.Run(spark, func(t *testing.T) {
			for i, line := range seqFiles(t, spark, args...) {
				codec := seqfile.Codecs[i]
				if codec == seqfile.Snappy && spark == "3.1.3" {
					if !strings.Contains(line, "buildSupportsSnappy") {
						t.Errorf("without Hadoop's native library, snappy gives: %s", line)
					}
					continue
				}
				check(t, string(codec), parseSeen(t, line), parts[codec])
			}
		})
	}
}

func TestVerifyReadsHadoopsSequenceFiles(t *testing.T) {
	dir := t.TempDir()
	codecs := map[string]string{"default": "deflate", "none": "none", "DefaultCodec": "deflate", "SnappyCodec": "snappy"}
	args := []string{"write"}
	for class := range codecs {
		args = append(args, filepath.Join(dir, "a."+class))
	}
	seqFiles(t, "3.5.9", args...)
	digests := map[string]bool{}
	for class, codec := range codecs {
		p := verify(t, filepath.Join(dir, "a."+class)).Parts[0]
		if p.Records != 5 || len(p.Classes) != 5 || !strings.HasSuffix(p.Kind, " "+codec) {
			t.Errorf("%s: %+v", class, p)
		}
		digests[p.Digest] = true
	}
	if len(digests) != 1 {
		t.Errorf("the same records have %d digests", len(digests))
	}
}
