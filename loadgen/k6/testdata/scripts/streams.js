// Streams of the web's kind, read and written.
import http from 'k6/http';
import { ReadableStream, WritableStream } from 'k6/experimental/streams';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6 };

export default async function () {
  const numbers = new ReadableStream({
    start(controller) {
      [1, 2, 3].forEach((n) => controller.enqueue(n));
      controller.close();
    },
  });
  const reader = numbers.getReader();
  let sum = 0;
  for (let r = await reader.read(); !r.done; r = await reader.read()) {
    sum += r.value;
  }
  const written = [];
  const writer = new WritableStream({ write(chunk) { written.push(chunk); } }).getWriter();
  await writer.write('a');
  await writer.write('b');
  await writer.close();
  http.get(`${__ENV.HTTP}/${written.join('')}`);
  check(null, { sum: () => sum === 6, written: () => written.join() === 'a,b' });
}
