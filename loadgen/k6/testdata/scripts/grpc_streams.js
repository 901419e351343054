// Streams over gRPC: from the client, from the server, both ways, and one that fails.
import { Client, Stream } from 'k6/net/grpc';
import { check } from 'k6';

const client = new Client();
client.load(['./lib'], 'scales.proto');

export const options = { vus: 2, iterations: 6 };

function run(method, messages) {
  return new Promise((resolve) => {
    const heard = { data: [], errors: [] };
    const stream = new Stream(client, `grpc.testing.TestService/${method}`);
    stream.on('data', (message) => heard.data.push(message));
    stream.on('error', (e) => heard.errors.push(e.code));
    stream.on('end', () => resolve(heard));
    messages.forEach((m) => stream.write(m));
    stream.end();
  });
}

export default async function () {
  client.connect(__ENV.GRPC, { plaintext: true });
  const input = await run('StreamingInputCall', [{ payload: { body: 'AAAA' } }, { payload: { body: 'AAAA' } }]);
  const output = await run('StreamingOutputCall', [{ responseParameters: [{ size: 1 }, { size: 2 }] }]);
  const both = await run('FullDuplexCall', [{ payload: { body: 'AAAA' } }, { payload: { body: 'AAAA' } }]);
  const failed = await run('StreamingOutputCall', [{ responseStatus: { code: 14, message: 'closed' } }]);
  check(null, {
    input: () => input.data.length === 1 && input.data[0].aggregatedPayloadSize === 6,
    output: () => output.data.length === 2,
    both: () => both.data.length === 2,
    failed: () => failed.errors.length === 1 && Number(failed.errors[0]) === 14,
  });
  client.close();
}
