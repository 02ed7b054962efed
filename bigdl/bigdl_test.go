package bigdl

import (
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func readLog(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/lenet.log")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The log is of a run of LeNet on Spark 3.1.3: its first two iterations, its last, and the validation after that.
func TestParseLog(t *testing.T) {
	iterations, epochs, err := ParseLog(strings.NewReader(readLog(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := Iteration{
		N: 2, Epoch: 1, Seen: 128, EpochSize: 2048, Records: 64, End: time.UnixMilli(1795456946328), Seconds: 1.722070283, Loss: 2.3183367,
		Compute: 0.338690558, GetWeights: 0.0580815345, AggregateGradient: 0.0478192925, PutGradient: 0.015623861,
	}
	if len(iterations) != 3 || iterations[1] != want {
		t.Errorf("got %+v\nwant the second %+v", iterations, want)
	}
	accuracy := 0.986328125
	if e := (Epoch{N: 1, End: time.UnixMilli(1795457014364), Accuracy: &accuracy}); len(epochs) != 1 || !reflect.DeepEqual(epochs[0], e) {
		t.Errorf("epochs %+v, want %+v", epochs, e)
	}
}

// While a run goes on, its log ends in the middle of a line: what is whole is read, and never anything else.
func TestParseLogThatIsStillWritten(t *testing.T) {
	log := readLog(t)
	all, _, _ := ParseLog(strings.NewReader(log))
	for n := range len(log) {
		some, _, err := ParseLog(strings.NewReader(log[:n]))
		if err != nil {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
		for k, i := range some {
			if i.N != all[k].N || i.Seconds != all[k].Seconds || i.Loss != all[k].Loss {
				t.Fatalf("the first %d bytes: iteration %+v instead of %+v", n, i, all[k])
			}
		}
	}
}

func TestParseLogDivergedAndDamaged(t *testing.T) {
	line := "1000 [Epoch 1 8/16][Iteration 1][Wall Clock 1s] Trained 8.0 records in 1.0E-1 seconds. Throughput is 80 records/second. Loss is NaN. x\n"
	iterations, _, err := ParseLog(strings.NewReader(line))
	if err != nil || len(iterations) != 1 || !math.IsNaN(iterations[0].Loss) || iterations[0].Seconds != 0.1 {
		t.Errorf("a loss that is no number: %+v, %v", iterations, err)
	}
	if _, _, err := ParseLog(strings.NewReader(strings.Replace(line, "1.0E-1", "fast", 1))); err == nil || !strings.Contains(err.Error(), "fast") {
		t.Errorf("a time that is none: %v", err)
	}
}

func TestFind(t *testing.T) {
	for _, m := range Models() {
		if got, err := Find(m.Name); err != nil || got != m {
			t.Errorf("%s: %+v, %v", m.Name, got, err)
		}
	}
	if _, err := Find("resnet"); err == nil || !strings.Contains(err.Error(), "vgg") {
		t.Errorf("an unknown model: %v", err)
	}
}

func TestArguments(t *testing.T) {
	got := Training{Model: "vgg", Data: "/d", Batch: 8, Epochs: 2, Seed: 3}.Arguments()
	if want := strings.Fields("--model vgg --data /d --batch 8 --epochs 2 --seed 3"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = Training{Model: "vgg", Data: "/d", Batch: 8, Epochs: 2, Seed: 3, Iterations: 5, LearningRate: 0.01, Checkpoint: "/c"}.Arguments()
	if want := strings.Fields("--iterations 5 --learning-rate 0.01 --checkpoint /c"); !slices.Equal(got[len(got)-6:], want) {
		t.Errorf("got %q, want %q at its end", got, want)
	}
}
