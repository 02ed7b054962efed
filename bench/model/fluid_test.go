package model

import "math"

// fluid is the exchange with links that are shared exactly: at each moment the rates of all fetches are the fairest that the links allow
// (max-min, found by filling the tightest link first). It is as slow as it is simple.
func (x exchange) fluid(starts []float64) []float64 {
	type flow struct {
		reader, owner int
		left, rate    float64
		ready         float64 // when its bytes may begin to move
	}
	end := make([]float64, x.executors)
	next := make([]int, x.executors)
	var flows []*flow
	driver := 0.0
	type question struct {
		at float64
		f  *flow
	}
	var asked []question // not yet at the driver
	begin := func(reader int, now float64) {
		if next[reader] == reader {
			next[reader]++
		}
		if next[reader] >= x.executors {
			return
		}
		f := &flow{reader: reader, owner: next[reader], left: x.block, ready: math.Inf(1)}
		next[reader]++
		flows = append(flows, f)
		if x.lookups {
			asked = append(asked, question{now + x.roundTrip/2, f})
		} else {
			f.ready = now + x.latency
		}
	}
	for r, at := range starts {
		for range min(x.slots, x.executors-1) {
			begin(r, at)
		}
	}
	for now := 0.0; len(flows) > 0; {
		x.fill(len(flows), func(i int) (int, int, bool) { return flows[i].reader, flows[i].owner, flows[i].ready <= now },
			func(i int, rate float64) { flows[i].rate = rate })
		step := math.Inf(1)
		for _, f := range flows {
			if f.ready > now {
				step = min(step, f.ready-now)
			} else if f.rate > 0 {
				step = min(step, f.left/f.rate)
			}
		}
		for _, q := range asked {
			step = min(step, max(0, q.at-now))
		}
		now += step
		var open []question
		for _, q := range asked {
			if q.at > now {
				open = append(open, q)
				continue
			}
			driver = max(driver, q.at) + x.service
			q.f.ready = driver + x.roundTrip/2 + x.latency
		}
		asked = open
		running := flows
		flows = nil
		var finished []int
		for _, f := range running {
			if f.ready <= now-step {
				f.left -= f.rate * step
			}
			if f.left > 1e-6*x.block {
				flows = append(flows, f)
				continue
			}
			end[f.reader] = now
			finished = append(finished, f.reader)
		}
		for _, r := range finished {
			begin(r, now)
		}
	}
	return end
}

// fill sets the max-min fair rates of n flows.
func (x exchange) fill(n int, flow func(i int) (reader, owner int, running bool), set func(i int, rate float64)) {
	links := 2*x.executors + 1 // into each, out of each, and the network between
	room, users := make([]float64, links), make([]int, links)
	of := make([][3]int, n)
	open := map[int]bool{}
	for l := range room {
		room[l] = x.link
	}
	room[links-1] = x.core
	if x.core == 0 {
		room[links-1] = math.Inf(1)
	}
	for i := range n {
		set(i, 0)
		if reader, owner, running := flow(i); running {
			of[i] = [3]int{reader, x.executors + owner, links - 1}
			open[i] = true
			for _, l := range of[i] {
				users[l]++
			}
		}
	}
	for len(open) > 0 {
		tightest, share := -1, math.Inf(1)
		for l := range room {
			if users[l] > 0 && room[l]/float64(users[l]) < share {
				tightest, share = l, room[l]/float64(users[l])
			}
		}
		for i := range n {
			if !open[i] || of[i][0] != tightest && of[i][1] != tightest && of[i][2] != tightest {
				continue
			}
			set(i, share)
			delete(open, i)
			for _, l := range of[i] {
				room[l] -= share
				users[l]--
			}
		}
	}
}
