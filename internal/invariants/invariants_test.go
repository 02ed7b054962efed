package invariants

import (
	"reflect"
	"testing"
)

func TestCheckPanicsUnderTheTagOnly(t *testing.T) {
	defer func() {
		if got := recover() != nil; got != Enabled {
			t.Errorf("Check(false) panicked: %v, want %v", got, Enabled)
		}
	}()
	Check(true, "never said")
	Check(false, "lease %d", 7)
}

func TestFillPoisonsUnderTheTagOnly(t *testing.T) {
	mem := []byte{1, 2, 3}
	Fill(mem)
	want := []byte{1, 2, 3}
	if Enabled {
		want = []byte{Poison, Poison, Poison}
	}
	if !reflect.DeepEqual(mem, want) {
		t.Errorf("memory is %v, want %v", mem, want)
	}
}

func TestOpenNamesWhatIsLeft(t *testing.T) {
	c := NewCounter("thing")
	c.Add(3)
	c.Add(-1)
	var want []string
	if Enabled {
		want = []string{"thing: 2"}
	}
	if got := Open(); !reflect.DeepEqual(got, want) {
		t.Errorf("Open() = %v, want %v", got, want)
	}
	c.Add(-2)
	if got := Open(); got != nil {
		t.Errorf("Open() = %v after all was given back", got)
	}
}
