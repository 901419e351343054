package main

import (
	"encoding/json"
	"net/http"

	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// serveGroups lists the groups of the definitions at /apis, and none at /api. In a whole cluster the aggregator does that,
// and clients begin with it.
func serveGroups(s *genericapiserver.GenericAPIServer) error {
	client, err := clientset.NewForConfig(s.LoopbackClientConfig)
	if err != nil {
		return err
	}
	mux := s.Handler.NonGoRestfulMux
	mux.HandleFunc("/api", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}, Versions: []string{}})
	})
	mux.Unregister("/apis")
	mux.HandleFunc("/apis", func(w http.ResponseWriter, r *http.Request) {
		list, err := client.ApiextensionsV1().CustomResourceDefinitions().List(r.Context(), metav1.ListOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		served := map[string][]string{"apiextensions.k8s.io": {"v1"}}
		for _, d := range list.Items {
			for _, v := range d.Spec.Versions {
				if v.Served {
					served[d.Spec.Group] = append(served[d.Spec.Group], v.Name)
				}
			}
		}
		answer(w, http.StatusOK, groupList(served))
	})
	return nil
}

// groupList is what /apis answers: each group once, with each of its versions once.
func groupList(served map[string][]string) metav1.APIGroupList {
	out := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
	for group, versions := range served {
		g := metav1.APIGroup{Name: group}
		known := map[string]bool{}
		for _, v := range versions {
			if !known[v] {
				known[v] = true
				g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + v, Version: v})
			}
		}
		g.PreferredVersion = g.Versions[0]
		out.Groups = append(out.Groups, g)
	}
	return out
}

// answer writes JSON.
func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
