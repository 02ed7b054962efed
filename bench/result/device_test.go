package result

import "testing"

func TestSoftwareDevices(t *testing.T) {
	for device, software := range map[string]bool{
		"": false, "none": false, DeviceName("mlx5_0", false): false, DeviceName("rxe0", true): true, "mlx5_0," + DeviceName("rxe0", true): true,
	} {
		r := Run{Config: Config{Impl: "weft-rdma"}, Device: device}
		if r.OnSoftware() != software || r.Row().OnSoftware() != software {
			t.Errorf("%q: %v, its row %v", device, r.OnSoftware(), r.Row().OnSoftware())
		}
		want := "weft-rdma"
		if software {
			want += " on " + device
		}
		if r.Name() != want {
			t.Errorf("%q is shown as %q", device, r.Name())
		}
	}
}

func TestMissingFigures(t *testing.T) {
	r := Run{Missing: "cpu_s,bytes_netty"}
	if !r.Lacks("cpu_s") || !r.Lacks("bytes_netty") || r.Lacks("bytes") || (Run{}).Lacks("cpu_s") {
		t.Error("what is missing is not what is listed")
	}
}
