//go:build e2e

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// secured are jobs with shuffled, broadcast and cached blocks.
var secured = []string{"groupByKey", "broadcast", "diskrdd"}

var authenticate = Conf{"spark.authenticate": "true", "spark.authenticate.secret": "for-tests-only"}

var networkCrypto = authenticate.With(Conf{"spark.network.crypto.enabled": "true"})

// daemonConf gives the Master and the Workers the same keys.
func daemonConf(conf Conf) (args []string) {
	for _, key := range slices.Sorted(maps.Keys(conf)) {
		args = append(args, "--conf", key+"="+conf[key])
	}
	return args
}

// secureCluster's Master, Workers and shuffle services authenticate, and encrypt for who encrypts.
func secureCluster(t *testing.T, version string) *Cluster {
	t.Helper()
	return cluster(t, version, 2, daemonConf(networkCrypto)...)
}

// testAuthenticate: blocks go by weft, as what the executors have proves enough.
func testAuthenticate(t *testing.T, c *Cluster) {
	r := c.Submit(t, c.WithWeft().With(shortGrace).With(authenticate).With(Conf{"spark.shuffle.service.enabled": "true"}), secured...)
	r.checkResults(t, len(secured))
	r.checkAllByWeft(t)
	r.checkWarnings(t)
	c.AwaitIdle(t, 30*time.Second)
}

// testNetworkCrypto: blocks go by weft, encrypted.
func testNetworkCrypto(t *testing.T, c *Cluster) {
	r := c.Submit(t, c.WithWeft().With(shortGrace).With(networkCrypto), secured...)
	r.checkEncrypted(t, c)
}

// testSASL is the same with what Spark had before.
func testSASL(t *testing.T, c *Cluster) {
	sasl := Conf{"spark.network.crypto.enabled": "false", "spark.authenticate.enableSaslEncryption": "true"}
	r := c.Submit(t, c.WithWeft().With(shortGrace).With(authenticate).With(sasl), secured...)
	r.checkEncrypted(t, c)
}

// sslConf puts Spark's own connections under TLS, with a key store of this test.
func sslConf(t *testing.T) Conf {
	t.Helper()
	store := filepath.Join(root, "build/e2e", clusterName()+"-rpc.jks") // the hosts have a /tmp of their own
	if err := os.Remove(store); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(store) })
	const password = "for-tests-only"
	keytool := exec.Command("keytool", "-genkeypair", "-keystore", store, "-storetype", "JKS", "-storepass", password, "-keypass", password,
		"-alias", "rpc", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=weft")
	if out, err := keytool.CombinedOutput(); err != nil {
		t.Fatalf("keytool: %v\n%s", err, out)
	}
	return Conf{
		"spark.ssl.rpc.enabled":            "true",
		"spark.ssl.rpc.keyStore":           store,
		"spark.ssl.rpc.keyStorePassword":   password,
		"spark.ssl.rpc.keyPassword":        password,
		"spark.ssl.rpc.trustStore":         store,
		"spark.ssl.rpc.trustStorePassword": password,
	}
}

func testSSL(t *testing.T) {
	ssl := sslConf(t)
	c := cluster(t, "4.1.3", 2, daemonConf(ssl)...)
	r := c.Submit(t, c.WithWeft().With(shortGrace).With(ssl), secured...)
	r.checkEncrypted(t, c)
}

// checkEncrypted checks that all blocks came by weft, and all that weft moved under TLS.
func (r *Run) checkEncrypted(t *testing.T, c *Cluster) {
	t.Helper()
	r.checkResults(t, len(secured))
	r.checkAllByWeft(t)
	if sum := Total(r.Summaries(t)); sum.TLSBlocks == 0 || sum.TLSBlocks != sum.WeftBlocks || sum.TLSBytes != sum.WeftBytes {
		t.Errorf("not all blocks were encrypted: %+v", sum)
	}
	r.checkWarnings(t)
	c.AwaitIdle(t, 30*time.Second)
}
