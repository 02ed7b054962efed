package sample

import (
	"cmp"
	"io/fs"
	"maps"
	"slices"

	"weft/bench/result"
)

// meter turns what counters and files say into samples.
type meter struct {
	root fs.FS // with proc and sys
	at   float64
	last map[counter]float64 // of the tick before; nil: there was none
}

// counter is something that only grows: of a process (by its start, as numbers of processes come again), an interface or a port.
type counter struct {
	name, host, of string
	pid            int
	start          uint64
}

// key is what one sample of a tick is about.
type key struct{ name, host, of string }

// tick gives the samples at a time, in seconds, in the order of name, host and what they are of. The first gives none: nothing has a rate yet.
func (m *meter) tick(at float64, processes []Process, gpus map[string]float64) []result.Sample {
	now, values := map[counter]float64{}, map[key]float64{}
	// grew counts what was added to the counter since the tick before; one that is new, or went back, has no rate yet.
	grew := func(c counter, total float64) {
		now[c] = total
		if before, ok := m.last[c]; ok && total >= before {
			values[key{c.name, c.host, c.of}] += (total - before) / (at - m.at)
		}
	}
	hosts := map[string]bool{}
	for _, p := range processes {
		cpu, start, err := readStat(m.root, p.PID)
		if err != nil {
			continue // it ended
		}
		memory, err := readMemory(m.root, p.PID)
		if err != nil {
			continue
		}
		grew(counter{result.CPU, p.Host, p.Role, p.PID, start}, cpu)
		values[key{result.Memory, p.Host, p.Role}] += memory
		if hosts[p.Host] {
			continue
		}
		if interfaces, err := readInterfaces(m.root, p.PID); err == nil {
			hosts[p.Host] = true
			for name, i := range interfaces {
				grew(counter{name: result.NetSent, host: p.Host, of: name}, i.sent)
				grew(counter{name: result.NetRecv, host: p.Host, of: name}, i.received)
			}
		}
	}
	for _, c := range readPorts(m.root) {
		grew(counter{name: c.name, of: c.port}, c.total)
	}
	for index, bytes := range gpus {
		values[key{result.GPUMemory, "", index}] = bytes
	}
	first := m.last == nil
	m.last, m.at = now, at
	if first {
		return nil
	}
	var samples []result.Sample
	for _, k := range slices.SortedFunc(maps.Keys(values), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.host, b.host), cmp.Compare(a.of, b.of))
	}) {
		samples = append(samples, result.Sample{At: at, Host: k.host, Name: k.name, Of: k.of, Value: values[k]})
	}
	return samples
}
