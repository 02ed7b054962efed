package result

import (
	"slices"
	"strings"
)

// software ends the names of devices that are no hardware.
const software = " (software)"

// WhyNoRatio is why times of a software device are compared with nothing.
const WhyNoRatio = "none: the device is soft-RoCE or its like, whose times tell nothing of hardware"

// DeviceName writes the name of an RDMA device for Run.Device: with a mark, where it is soft-RoCE or its like.
func DeviceName(name string, isSoftware bool) string {
	if isSoftware {
		name += software
	}
	return name
}

// OnSoftware tells whether blocks moved by a device that is software, so that the run's times say nothing of RDMA.
func (r Run) OnSoftware() bool { return onSoftware(r.Device) }

// OnSoftware is as Run's.
func (r Row) OnSoftware() bool { return onSoftware(r.Device) }

func onSoftware(device string) bool { return strings.Contains(device, software) }

// Name is the implementation's name where runs are shown: with the device, if that is software.
func (r Run) Name() string {
	if r.OnSoftware() {
		return r.Impl + " on " + r.Device
	}
	return r.Impl
}

// Lacks tells whether a figure, by its name in JSON, was not available.
func (r Run) Lacks(figure string) bool { return slices.Contains(strings.Split(r.Missing, ","), figure) }
