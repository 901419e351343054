package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generated "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	namer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/client-go/rest"
)

// server is a running server.
type server struct {
	url        string
	kubeconfig string
	loopback   *rest.Config
	ended      chan error // one value, at its end
}

// start starts a server on a free port of 127.0.0.1.
func start(ctx context.Context, etcd, prefix, dir string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	s := &server{url: fmt.Sprintf("https://127.0.0.1:%d", port), kubeconfig: filepath.Join(dir, "kubeconfig"), ended: make(chan error, 1)}
	token := rand.Text()
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stderr, os.Stderr)
	r := o.RecommendedOptions
	r.SecureServing.Listener, r.SecureServing.BindPort = listener, port
	r.SecureServing.ServerCert.CertDirectory = dir
	if err := r.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	if err := writeKubeconfig(s.kubeconfig, s.url, r.SecureServing.ServerCert.CertKey.CertFile, token); err != nil {
		return nil, err
	}
	r.Etcd.StorageConfig.Transport.ServerList = []string{etcd}
	r.Etcd.StorageConfig.Prefix = prefix
	// There is no other API server that could be asked who somebody is, what they may do, or what else to think of an object.
	r.Authentication, r.Authorization, r.Admission = nil, nil, nil
	r.Features.EnablePriorityAndFairness = false
	r.CoreAPI.CoreAPIKubeconfigPath = s.kubeconfig // it must have one; it is asked for services that webhooks stand behind
	if err := o.ServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	if err := o.Complete(); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	config, err := o.Config()
	if err != nil {
		return nil, err
	}
	everything := &user.DefaultInfo{Name: "rig", Groups: []string{user.SystemPrivilegedGroup}}
	config.GenericConfig.Authentication.Authenticator = bearertoken.New(tokenfile.New(map[string]*user.DefaultInfo{token: everything}))
	config.GenericConfig.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	// What kubectl and others ask for to check objects by themselves.
	definitions := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generated.GetOpenAPIDefinitions)
	config.GenericConfig.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer.NewDefinitionNamer(apiserver.Scheme))
	made, err := config.Complete().New(genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	if err := serveGroups(made.GenericAPIServer); err != nil {
		return nil, err
	}
	s.loopback = made.GenericAPIServer.LoopbackClientConfig
	go func() { s.ended <- made.GenericAPIServer.PrepareRun().RunWithContext(ctx) }()
	return s, nil
}

// writeKubeconfig writes a kubeconfig as JSON, which is YAML as well.
func writeKubeconfig(path, url, authority, token string) error {
	named := func(kind string, value any) []map[string]any {
		return []map[string]any{{"name": "schemas", kind: value}}
	}
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "schemas",
		"clusters": named("cluster", map[string]any{"server": url, "certificate-authority": authority}),
		"users":    named("user", map[string]any{"token": token}),
		"contexts": named("context", map[string]any{"cluster": "schemas", "user": "schemas", "namespace": "default"}),
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}
