package summary

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   Spread
		text   string
	}{
		{nil, Spread{}, "–"},
		{[]float64{3}, Spread{3, 3, 3}, "3.00 (3.00..3.00)"},
		{[]float64{4, 1}, Spread{2.5, 1, 4}, "2.50 (1.00..4.00)"},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}, "2.00 (1.00..9.00)"},
	} {
		if got := Of(tt.values); got != tt.want || got.String() != tt.text {
			t.Errorf("%v: %+v, %q", tt.values, got, got)
		}
	}
	values := []float64{2, 1}
	if Median(values); values[0] != 2 {
		t.Error("the values were sorted")
	}
}

// What cannot be written leaves the result that was there.
func TestWriteJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "r.json")
	if err := WriteJSON(path, []int{1}); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(path, math.NaN()); err == nil {
		t.Error("NaN was written")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "[\n  1\n]\n" {
		t.Errorf("%q, %v", b, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
