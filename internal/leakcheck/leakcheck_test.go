package leakcheck

import (
	"os"
	"reflect"
	"testing"
	"time"

	"weft/internal/invariants"
)

func TestAddedComparesAsMultisets(t *testing.T) {
	before := []string{"a", "b", "b", "d"}
	now := []string{"a", "a", "b", "c", "d"}
	if got, want := added(before, now), []string{"a", "c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("added = %v, want %v", got, want)
	}
}

func TestDescriptorsShowAnOpenFile(t *testing.T) {
	before := Descriptors()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := added(before, Descriptors()), []string{os.DevNull}; !reflect.DeepEqual(got, want) {
		t.Errorf("new descriptors %v, want %v", got, want)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := added(before, Descriptors()); got != nil {
		t.Errorf("new descriptors %v after Close", got)
	}
}

// recorder stands for a test that leaks.
type recorder struct {
	cleanup func()
	errors  int
}

func (r *recorder) Helper()                       {}
func (r *recorder) Cleanup(f func())              { r.cleanup = f }
func (r *recorder) Errorf(string, ...interface{}) { r.errors++ }
func (r *recorder) Failed() bool                  { return false }

var things = invariants.NewCounter("things")

func TestCheckFindsWhatIsLeft(t *testing.T) {
	defer func(usual time.Duration) { patience = usual }(patience)
	patience = 10 * time.Millisecond
	for name, leak := range map[string]func() (undo func()){
		"nothing": func() func() { return func() {} },
		"a file": func() func() {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = f.Close() }
		},
		"a thing": func() func() { things.Add(1); return func() { things.Add(-1) } },
	} {
		var r recorder
		Check(&r)
		undo := leak()
		r.cleanup()
		want := 1
		if name == "nothing" || name == "a thing" && !invariants.Enabled {
			want = 0
		}
		if r.errors != want {
			t.Errorf("%s: %d errors, want %d", name, r.errors, want)
		}
		undo()
	}
}
