package train

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"weft/bench/result"
	"weft/bigdl"
)

// progress tells how far the table is.
type progress struct {
	w         io.Writer
	rows, row int
	ran       int           // of these, the ones that were run now
	took      time.Duration // by them
	began     time.Time
}

func newProgress(w io.Writer, rows int) *progress {
	return &progress{w: w, rows: rows, began: time.Now()}
}

// watch tells every ten seconds what BigDL has logged, until the function it returns is called.
func (p *progress) watch(c result.Config, log string) (stop func()) {
	p.began = time.Now()
	fmt.Fprintf(p.w, "run %d of %d: %s on Spark %s, %s, link %s, %d executors, batch %d, repeat %d%s\n",
		p.row+1, p.rows, c.Model, c.Spark, c.Impl, c.Link, c.Executors, c.Batch, c.Repeat, p.left())
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				p.iteration(c, log)
			}
		}
	})
	return func() { close(ended); wg.Wait() }
}

// iteration tells of the last one.
func (p *progress) iteration(c result.Config, log string) {
	f, err := os.Open(log)
	if err != nil {
		return // BigDL has not begun
	}
	defer f.Close()
	iterations, _, err := bigdl.ParseLog(f)
	if err != nil || len(iterations) == 0 {
		return
	}
	last := iterations[len(iterations)-1]
	all := c.Iterations
	if all == 0 {
		all = c.Epochs * ((last.EpochSize + c.Batch - 1) / c.Batch)
	}
	fmt.Fprintf(p.w, "  iteration %d of %d, loss %.3f, %.2f s each\n", last.N, all, last.Loss, last.Seconds)
}

// ended tells how a run ended; kept says that it was there already.
func (p *progress) ended(r result.Run, kept bool) {
	p.row++
	switch {
	case kept:
		fmt.Fprintf(p.w, "run %d of %d was there already: %s\n", p.row, p.rows, r.ID())
		return
	case r.Failure != "":
		fmt.Fprintf(p.w, "  FAILED: %s\n", r.Failure)
	default:
		fmt.Fprintf(p.w, "  done in %.0f s\n", r.Seconds)
	}
	p.ran++
	p.took += time.Since(p.began)
}

// left is how long the rest takes, when the rows take alike.
func (p *progress) left() string {
	if p.ran == 0 {
		return ""
	}
	return fmt.Sprintf(", about %s left", (p.took / time.Duration(p.ran) * time.Duration(p.rows-p.row)).Round(time.Second))
}
