package train

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/bench/result"
)

const software = "rdma_device=rxe0 rdma_software=true"

// clusterHarness is a harness whose runs go to a cluster, by testdata/spark-submit.
func clusterHarness(t *testing.T) (c Config, calls func() string) {
	t.Helper()
	c, _, calls = harness(t)
	home := filepath.Join(c.Root, "spark")
	for _, dir := range []string{"bin", "jars"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	submit, err := os.ReadFile("testdata/spark-submit")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "bin/spark-submit"), submit, 0o755); err != nil { //nolint:gosec // a script
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "jars/spark-core_2.12-3.1.3.jar"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLUSTER", filepath.Join(c.Root, "scripts/cluster"))
	c.SparkHome, c.Table.Master, c.Table.Sparks = home, "spark://node0:7077", nil
	c.Table.Impls = []string{Stock, WeftTCP, WeftRDMA}
	return c, calls
}

func TestCluster(t *testing.T) {
	c, calls := clusterHarness(t)
	c.NodeBuild, c.Table.Impls = "/opt/weft", []string{Stock, WeftRDMA}
	t.Setenv("RDMA_BYTES", "900")
	t.Setenv("DEVICE", "rdma_device=mlx5_0 rdma_software=false")
	runs, err := Run(t.Context(), c)
	if err != nil || len(runs) != 2 || Failed(runs) > 0 {
		t.Fatalf("%+v, %v", runs, err)
	}
	all := calls()
	if strings.Contains(all, "up ") || strings.Contains(all, "down ") {
		t.Errorf("hosts were made:\n%s", all)
	}
	me, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if r.Spark != "3.1.3" || r.Link != "as is, of spark://node0:7077" || r.Sampled != me || !r.Lacks("cpu_s") || len(r.Iterations) != 3 || r.FetchWaitSeconds != 0.25 {
			t.Errorf("%+v", r)
		}
		if conf := r.Conf; conf["spark.master"] != "spark://node0:7077" || !strings.Contains(conf["spark.executor.extraClassPath"], "/opt/weft/bigdl/dllib.jar") ||
			!strings.Contains(conf["spark.driver.extraClassPath"], c.Root+"/build/bigdl/dllib.jar") {
			t.Errorf("%v", conf)
		}
	}
	stock, rdma := runs[0], runs[1]
	if !stock.Lacks("bytes_netty") || stock.Conf["spark.weft.socket.dir"] != "" {
		t.Errorf("stock: %+v", stock)
	}
	if rdma.BytesRDMA != 1800 || rdma.BytesWeft != 2100 || rdma.BytesNetty != 7 || rdma.Device != "mlx5_0" || rdma.Lacks("bytes_netty") {
		t.Errorf("weft-rdma: %+v", rdma)
	}
	var out bytes.Buffer
	if err := WriteTable(&out, runs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sampled on " + me + " alone", "n/a", "mlx5_0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

// Each arm has daemons of its own, with a device or without.
func TestArmsOfACluster(t *testing.T) {
	c, _ := clusterHarness(t)
	tcp, rdma := c.conf(result.Config{Impl: WeftTCP}), c.conf(result.Config{Impl: WeftRDMA})
	if tcp["spark.weft.rdma.device"] != "none" || rdma["spark.weft.rdma.device"] != "auto" || tcp["spark.weft.socket.dir"] == rdma["spark.weft.socket.dir"] ||
		rdma["spark.weft.daemon.mode"] != "auto" {
		t.Errorf("%v\n%v", tcp, rdma)
	}
	c.Conf = map[string]string{"spark.weft.rdma.device": "mlx5_1"}
	if conf := c.conf(result.Config{Impl: WeftRDMA}); conf["spark.weft.rdma.device"] != "mlx5_1" {
		t.Errorf("the user's device: %v", conf)
	}
}

// Nobody takes times over soft-RoCE for those of hardware.
func TestSoftRoCE(t *testing.T) {
	c, _ := clusterHarness(t)
	c.Table.Impls = []string{Stock, WeftRDMA}
	t.Setenv("RDMA_BYTES", "900")
	t.Setenv("DEVICE", software)
	runs, err := Run(t.Context(), c)
	if err != nil || Failed(runs) > 0 {
		t.Fatalf("%+v, %v", runs, err)
	}
	var out bytes.Buffer
	if err := WriteTable(&out, runs); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "rxe0 (software)") || strings.Contains(s, "(one pair)") || strings.Count(s, result.WhyNoRatio) != len(figures) {
		t.Errorf("%s", s)
	}
}

func TestRunsOfAClusterThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		impl, why string
		env       map[string]string
	}{
		"no device":       {WeftRDMA, "no block came by RDMA; the executors' daemons have as device: none", nil},
		"device not used": {WeftRDMA, "no block came by RDMA; the executors' daemons have as device: rxe0 (software)", map[string]string{"DEVICE": software}},
		"tcp by a device": {WeftTCP, "1800 bytes came by RDMA", map[string]string{"DEVICE": software, "RDMA_BYTES": "900"}},
		"one host":        {Stock, "executors 0 and 1 are both on h1", map[string]string{"HOST": "h1"}},
		"no memory":       {Stock, "no memory of that size", map[string]string{"FAIL": " "}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := clusterHarness(t)
			c.Table.Impls = []string{test.impl}
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			runs, err := Run(t.Context(), c)
			if err != nil || len(runs) != 1 || !strings.Contains(runs[0].Failure, test.why) {
				t.Errorf("%v: %+v", err, runs)
			}
		})
	}
}

func TestExecutorsThatDoNotTell(t *testing.T) {
	const (
		executor = "EXECUTOR executor=1 host=h1 executor=1 weft_bytes=9 netty_bytes=0 rdma_bytes=8 rdma_device=mlx5_0 rdma_software=false\n"
		driver   = "INFO weft: summary executor=driver weft_bytes=1 rdma_bytes=0 rdma_device=none rdma_software=false\n"
	)
	row := result.Config{Impl: WeftRDMA, Executors: 2}
	other := strings.ReplaceAll(strings.ReplaceAll(executor, "=1 ", "=2 "), "h1", "h2")
	whole, err := readTold([]byte(executor + other + driver))
	if err != nil || whole.check(row) != nil || whole.RDMABytes != 16 || whole.WeftBytes != 19 || whole.device != "mlx5_0" {
		t.Errorf("%+v, %v, %v", whole, err, whole.check(row))
	}
	for want, log := range map[string]string{
		"1 of 2 executors told": executor + driver + other[:len(other)-1], // half a line tells nothing
		"2 JVMs instead of":     executor + other,
	} {
		got, err := readTold([]byte(log))
		if err != nil {
			t.Fatal(err)
		}
		if err := got.check(row); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := readTold([]byte(strings.Replace(executor, "=9", "=nine", 1))); err == nil {
		t.Error("a figure that is none is no error")
	}
}

func TestClustersThatCannotBeUsed(t *testing.T) {
	c, calls := clusterHarness(t)
	c.Table.Links = []string{"1gbit"}
	for _, master := range []string{"yarn", "local-cluster[2,1,1024]", "local[2]", "spark://node0"} {
		c.Table.Master = master
		_, err := Run(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "spark://HOST:PORT") || !strings.Contains(err.Error(), "--link 1gbit") {
			t.Errorf("%s: %v", master, err)
		}
	}
	c.Table.Master, c.Table.Links, c.Table.Sparks = "spark://node0:7077", []string{AsIs}, []string{"3.5.9"}
	for want, change := range map[string]func(){
		"is Spark 3.1.3":           func() {},
		"no distribution of Spark": func() { c.SparkHome = t.TempDir() },
		"SPARK_HOME":               func() { c.SparkHome = "" },
		"need --master":            func() { c.SparkHome, c.Table.Master = "/opt/spark", "" },
	} {
		was := c
		change()
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		c = was
	}
	if all := calls(); all != "" {
		t.Errorf("something was run:\n%s", all)
	}
}
