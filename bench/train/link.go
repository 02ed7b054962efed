package train

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Link is what the cables between the hosts are shaped to. Whatever its name, what runs over it is TCP, and RDMA only where there is a device.
type Link struct {
	Name  string
	Rate  string        // of each cable, as tc writes it; "": as is
	Delay time.Duration // of each packet
}

// AsIs is a link that is not shaped.
const AsIs = "as is"

// Presets are rates in Mbit/s for each core of an executor: what a host of the published study had (cluster B: FDR 56 Gb/s, 24 cores), divided by
// its cores, so that a core here has as much of the network for its work as one had there. Delays are not shaped: a packet between two
// namespaces already takes longer than one on that network. Sources: docs/model.md.
var presets = map[string]int{
	"ipoib-like": 310,  // 7.5 Gbit/s a host: what Spark's shuffle was seen to move over TCP on a faster network [5]
	"rdma-like":  2270, // 54.5 Gbit/s a host: FDR's data rate [1, 2], which verbs reach
}

var rate = regexp.MustCompile(`^[1-9][0-9]*[kmg]bit$`)

// of is the link under the name that it has on the master's cluster, if there is one.
func (l Link) of(master string) Link {
	if master != "" {
		l.Name += ", of " + master
	}
	return l
}

// ParseLink reads "as is", the name of a preset, or RATE[,DELAY] like 1gbit,200us, for executors of so many cores.
func ParseLink(s string, cores int) (Link, error) {
	if s == AsIs {
		return Link{Name: s}, nil
	}
	if perCore, ok := presets[s]; ok {
		rate := fmt.Sprintf("%dmbit", perCore*cores)
		return Link{Name: fmt.Sprintf("%s (TCP shaped to %s)", s, rate), Rate: rate}, nil
	}
	r, d, delayed := strings.Cut(s, ",")
	if !rate.MatchString(r) {
		return Link{}, fmt.Errorf("link %q is none of %q, ipoib-like, rdma-like, or a rate and a delay like 1gbit or 1gbit,200us", s, AsIs)
	}
	l := Link{Name: fmt.Sprintf("TCP shaped to %s", s), Rate: r}
	if delayed {
		var err error
		if l.Delay, err = time.ParseDuration(d); err != nil || l.Delay <= 0 {
			return Link{}, fmt.Errorf("link %q: its delay is none like 200us or 1ms", s)
		}
	}
	return l, nil
}

// arguments are those of `scripts/cluster up`.
func (l Link) arguments() (args []string) {
	if l.Rate != "" {
		args = append(args, "--rate", l.Rate)
	}
	if l.Delay > 0 {
		args = append(args, "--delay", l.Delay.String())
	}
	return args
}
