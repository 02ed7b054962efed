package daemon

import (
	"testing"
	"testing/synctest"
	"time"
)

func isOver(i *idle) bool {
	select {
	case <-i.over:
		return true
	default:
		return false
	}
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIdle(10 * time.Second)
		defer i.stop()
		time.Sleep(9 * time.Second)
		i.sessions(1)
		time.Sleep(time.Hour)
		i.sessions(2)
		i.sessions(1)
		i.sessions(0)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if isOver(i) {
			t.Fatal("over before the grace time")
		}
		i.sessions(1)
		i.sessions(0)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if isOver(i) {
			t.Fatal("the grace time did not begin anew")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !isOver(i) {
			t.Fatal("not over after the grace time")
		}
		i.sessions(1)
		i.sessions(0)
	})
}

// A daemon does not leave what it serves for executors that have ended.
func TestDepartedExecutorsAreUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIdle(10 * time.Second)
		defer i.stop()
		i.sessions(1)
		i.departed(1)
		i.sessions(0)
		time.Sleep(time.Hour)
		synctest.Wait()
		if isOver(i) {
			t.Fatal("over while something is kept")
		}
		i.departed(0)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !isOver(i) {
			t.Fatal("not over after the grace time")
		}
	})
}

// A daemon that nobody ever connected to leaves too, but not before its starter could.
func TestIdleFromTheStart(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, time.Millisecond: firstGrace} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			i := newIdle(grace)
			<-i.over
			i.stop()
			if took := time.Since(start); took != want {
				t.Errorf("grace %v: left after %v, want %v", grace, took, want)
			}
		})
	}
}

func TestNoGraceMeansStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIdle(0)
		i.sessions(1)
		i.sessions(0)
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		if isOver(i) {
			t.Fatal("over")
		}
	})
}
