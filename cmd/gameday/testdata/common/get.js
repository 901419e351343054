import http from "k6/http";
import { check } from "k6";

export default function () {
  const answer = http.get("http://web:8080/", { timeout: "20s" });
  check(answer, { answered: (a) => a.status === 200 });
}
