package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	sigsyaml "sigs.k8s.io/yaml"
)

// installLimit is how long the definitions may take until they are served.
const installLimit = time.Minute

// read returns the definitions in files and folders.
func read(paths []string) ([]*apiextensions.CustomResourceDefinition, error) {
	var all []*apiextensions.CustomResourceDefinition
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err != nil {
			return nil, err
		} else if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
				return nil, err
			}
		}
		for _, file := range files {
			some, err := readFile(file)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", file, err)
			}
			all = append(all, some...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no definition in %q", paths)
	}
	return all, nil
}

// readFile returns the definitions in one file; what else is in it is passed over.
func readFile(path string) ([]*apiextensions.CustomResourceDefinition, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []*apiextensions.CustomResourceDefinition
	documents := yaml.NewYAMLReader(bufio.NewReader(file))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var kind metav1.TypeMeta
		if err := sigsyaml.Unmarshal(text, &kind); err != nil {
			return nil, err
		}
		if kind.Kind != "CustomResourceDefinition" {
			continue
		}
		d := &apiextensions.CustomResourceDefinition{}
		if err := sigsyaml.UnmarshalStrict(text, d); err != nil {
			return nil, err
		}
		// Nothing here converts between versions.
		d.Spec.Conversion = nil
		all = append(all, d)
	}
}

// install makes the definitions and returns when all of them are served.
func install(ctx context.Context, config *rest.Config, all []*apiextensions.CustomResourceDefinition) error {
	client, err := clientset.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	api := client.ApiextensionsV1().CustomResourceDefinitions()
	for _, d := range all {
		// The server may not have begun to answer.
		err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			_, err := api.Create(ctx, d, metav1.CreateOptions{})
			if status := (interface{ Status() metav1.Status })(nil); errors.As(err, &status) {
				return false, err
			}
			return err == nil, nil
		})
		if err != nil {
			return fmt.Errorf("making %s: %w", d.Name, err)
		}
	}
	return wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list, err := api.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, nil
		}
		served := 0
		for _, d := range list.Items {
			for _, c := range d.Status.Conditions {
				if c.Type == apiextensions.Established && c.Status == apiextensions.ConditionTrue {
					served++
				}
			}
		}
		return served == len(all), nil
	})
}
