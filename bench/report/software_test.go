package report

import (
	"strings"
	"testing"

	"weft/bench/result"
)

// Runs over soft-RoCE are shown with its name, and compared with nothing; where one host alone was sampled, its name is there.
func TestSoftwareDevice(t *testing.T) {
	soft := run("weft-rdma", "as is", 1, 0.5)
	soft.Device, soft.Sampled = result.DeviceName("rxe0", true), "node0"
	for at := range 10 {
		soft.Samples = append(soft.Samples, result.Sample{At: float64(at), Host: "node0", Name: result.CPU, Of: "driver", Value: 1})
	}
	page := write(t, save(t, []result.Run{run("stock", "as is", 1, 1), soft}))
	for _, want := range []string{`<td class="text">weft-rdma on rxe0 (software)</td>`, "– (" + result.WhyNoRatio + ")", "node0 alone"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in the page", want)
		}
	}
	if strings.Contains(page, "; 1)") {
		t.Error("there is a ratio in the page")
	}
}
