package invariants

import (
	"bytes"
	"reflect"
	"strings"
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
	for n := range 10 {
		mem, want := bytes.Repeat([]byte{1}, n), bytes.Repeat([]byte{1}, n)
		Fill(mem)
		if Enabled {
			want = bytes.Repeat([]byte{Poison}, n)
		}
		if !bytes.Equal(mem, want) {
			t.Errorf("memory is %v, want %v", mem, want)
		}
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

func TestTrackTellsWhereTheOldestWasMade(t *testing.T) {
	c := NewCounter("handle")
	first, second := c.Track(), c.Track()
	second()
	open := strings.Join(Open(), "")
	if got := strings.HasPrefix(open, "handle: 1, the oldest made at\n") && strings.Contains(open, "TestTrackTellsWhereTheOldestWasMade"); got != Enabled {
		t.Errorf("Open() = %q", open)
	}
	first()
	if got := Open(); got != nil {
		t.Errorf("Open() = %v after all was given back", got)
	}
}
