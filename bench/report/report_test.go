package report

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weft/bench/golden"
	"weft/bench/result"
)

// run is a small one; the arm's times are scale times stock's.
func run(impl, link string, repeat int, scale float64) result.Run {
	accuracy := 0.71
	r := result.Run{
		Config: result.Config{
			Model: "vgg", Data: "synthetic cifar-10, <seed 1>", Spark: "3.1.3", Impl: impl, Link: link, Executors: 2, Cores: 1, Batch: 8, Epochs: 2, Seed: 1,
			Repeat: repeat,
		},
		Started: time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC), Seconds: 100 * scale,
		Versions: map[string]string{"weft": "1.0", "spark": "3.1.3"}, Machine: result.Machine{CPU: "A processor", Cores: 2, MemoryBytes: 24e9, Kernel: "6.1"},
		Conf:   map[string]string{"spark.executor.memory": "2g"},
		Epochs: []result.Epoch{{N: 1, End: 40 * scale}, {N: 2, End: 80 * scale, Accuracy: &accuracy}}, BytesNetty: 12345678,
	}
	if impl != result.Stock {
		r.Conf["spark.shuffle.manager"] = "Weft"
		r.BytesWeft, r.BytesNetty = r.BytesNetty, 0
	}
	for n := range 4 {
		r.Iterations = append(r.Iterations, result.Iteration{
			N: n + 1, Epoch: 1 + n/2, End: 20 * float64(n+1) * scale, Seconds: 1 + 0.5*scale, Loss: 2.3 - float64(n)/10,
			ComputeSeconds: 0.8, GetWeightsSeconds: 0.2 * scale, AggregateSeconds: 0.3 * scale,
		})
	}
	return r
}

// runs are two repeats of a comparison, with resources sampled in its first run; one whose arm failed; and one that lacks stock.
func runs() []result.Run {
	sampled := run("stock", "as is", 1, 1)
	for at := range 100 {
		sampled.Samples = append(sampled.Samples,
			result.Sample{At: float64(at), Host: "h1", Name: result.NetRecv, Of: "eth0", Value: 1e6},
			result.Sample{At: float64(at), Host: "h2", Name: result.NetRecv, Of: "eth0", Value: 3e6})
	}
	failed := run("weft-tcp", "IPoIB-like 10gbit 50us", 1, 1)
	failed.Failure, failed.Iterations, failed.Epochs = "spark-submit: exit status 1 & <more>", nil, nil
	alone := run("weft-tcp", "as is", 1, 1)
	alone.Batch = 32
	return []result.Run{
		sampled, run("weft-tcp", "as is", 1, 0.5), run("stock", "as is", 2, 2), run("weft-tcp", "as is", 2, 1.6),
		run("stock", "IPoIB-like 10gbit 50us", 1, 1), failed, alone,
	}
}

func save(t *testing.T, rs []result.Run) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range rs {
		if err := result.Save(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var model = []modelRow{
	{Model: "vgg", Stack: "stock", Nodes: 2, IterationSeconds: 1, EpochSeconds: 10},
	{Model: "vgg", Stack: "stock", Nodes: 1000, IterationSeconds: 9, EpochSeconds: 90},
	{Model: "vgg", Stack: "weft-rdma", Nodes: 2, IterationSeconds: 0.5, EpochSeconds: 5},
	{Model: "vgg", Stack: "weft-rdma", Nodes: 1000, IterationSeconds: 4, EpochSeconds: 40},
}

func writeModel(t *testing.T, dir string) {
	t.Helper()
	b, err := json.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir string) string {
	t.Helper()
	name, err := Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var drawing = regexp.MustCompile(`(?s)<svg.*?</svg>`)

func TestReport(t *testing.T) {
	dir := save(t, runs())
	writeModel(t, dir)
	text := write(t, dir)
	t.Run("page", func(t *testing.T) { testPage(t, text) })
	t.Run("drawings", func(t *testing.T) { testDrawings(t, dir, text) })
}

// The page without its drawings is testdata/report.html: what a reader finds in it is to be read there.
func testPage(t *testing.T, text string) {
	if outside := regexp.MustCompile(`(?i)(src|href)=|url\(|@import|<script|<link`).FindString(text); outside != "" {
		t.Errorf("the page needs something beside it: %s", outside)
	}
	got := drawing.ReplaceAllString(text, "<svg/>")
	golden.Check(t, "report.html", got)
}

// Each drawing names what it shows, and only that.
func testDrawings(t *testing.T, dir, text string) {
	figures := regexp.MustCompile(`(?s)<figcaption>(.*?)<.*?(<svg.*?</svg>)`).FindAllStringSubmatch(text, -1)
	count := map[string]int{}
	for _, f := range figures {
		title, svg := f[1], f[2]
		count[title]++
		for _, part := range map[string][]string{
			"Published times (not measured here)": {"IPoIB", "RDMA"},
			"Loss over time":                      {"loss", "seconds"},
			"Network":                             {"stock", "MB per second"},
			"An iteration by transport":           {"get weights", "aggregate gradient", "compute", "rest", "weft-tcp, link as is"},
			"Model: vgg":                          {"(model)", "weft-rdma", "stroke-dasharray"},
		}[title] {
			if !strings.Contains(svg, part) {
				t.Errorf("%s does not show %q", title, part)
			}
		}
		if strings.Contains(svg, "weft-rdma") && title != "Model: vgg" {
			t.Errorf("%s shows RDMA, which no run had", title)
		}
	}
	// Three comparisons, two sizes of batch; the model is drawn as iteration and epoch; one run was sampled.
	for title, n := range map[string]int{"Accuracy over time": 3, "Epochs on 2 x 1 cores": 3, "An iteration by transport": 2, "Model: vgg": 2, "Network": 1, "Host memory": 0} {
		if count[title] != n {
			t.Errorf("%d figures %q, want %d (all: %v)", count[title], title, n, count)
		}
	}
	pngs, err := filepath.Glob(filepath.Join(dir, "report", "*.png"))
	if err != nil || len(pngs) != len(figures) {
		t.Errorf("%d PNG files for %d figures, %v", len(pngs), len(figures), err)
	}
	for _, name := range pngs {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if size := img.Bounds().Size(); size.X != Width || size.Y != Height {
			t.Errorf("%s is %v", name, size)
		}
		inked := 0
		for i := range Width * Height {
			if r, g, b, _ := img.At(i%Width, i/Width).RGBA(); r&g&b != 0xffff {
				inked++
			}
		}
		if inked < Width*Height/100 {
			t.Errorf("%s is empty: %d pixels are not white", name, inked)
		}
	}
}

func TestNothingThatWorked(t *testing.T) {
	failed := run("stock", "as is", 1, 1)
	failed.Failure, failed.Iterations, failed.Epochs = "no luck", nil, nil
	dir := save(t, []result.Run{failed})
	old := filepath.Join(dir, "report", "old.png")
	if err := os.MkdirAll(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	text := write(t, dir)
	if !strings.Contains(text, "failed: no luck") || !strings.Contains(text, "There is nothing to compare stock with") {
		t.Error("the page does not say that the only run failed")
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("a figure of an older report is still there")
	}
}

func TestDamaged(t *testing.T) {
	if _, err := Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "weft bench train") {
		t.Errorf("an empty folder: %v", err)
	}
	dir := save(t, runs())
	for _, bad := range []string{"[{", `[{"model":"vgg","nodes":0,"iteration_s":1,"epoch_s":1}]`} {
		if err := os.WriteFile(filepath.Join(dir, "model.json"), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(dir); err == nil || !strings.Contains(err.Error(), "model.json") {
			t.Errorf("model.json with %s: %v", bad, err)
		}
	}
	name := filepath.Join(dir, "runs", runs()[0].ID()+".json")
	if err := os.WriteFile(name, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a damaged run: %v", err)
	}
}

func TestTitlesFitIntoThePicture(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "one": "one", "one two three": "one two\nthree", "a  b": "a b", "longer-than-a-line of it": "longer-than-a-line\nof it",
	} {
		if got := wrapped(in, 8); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Synthetic data name their seed, which is that of the run as a rule.
func TestSeedIsToldOnce(t *testing.T) {
	for data, want := range map[string]int{"synthetic mnist, 16+8 records, seed 7": 1, "synthetic mnist, 16+8 records, seed 17": 2, "mnist in /data": 1} {
		if got := label(result.Config{Model: "lenet", Data: data, Seed: 7}); strings.Count(got, "seed") != want || !strings.HasSuffix(got, "seed 7") {
			t.Errorf("%s", got)
		}
	}
}
