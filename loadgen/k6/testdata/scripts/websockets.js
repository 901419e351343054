// WebSockets beside the event loop: text, bytes, a sub-protocol, a server that refuses, and one that is not there.
import { WebSocket } from 'k6/websockets';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6 };

function talk(url) {
  return new Promise((resolve) => {
    const heard = { texts: [], bytes: 0, errors: 0 };
    const ws = new WebSocket(url, 'haggle', { tags: { kind: 'talk' } });
    ws.binaryType = 'arraybuffer';
    ws.onopen = () => {
      heard.protocol = ws.protocol;
      ws.send('ten dinars');
      ws.send(new Uint8Array([1, 2, 3]).buffer);
    };
    ws.onmessage = (e) => {
      if (typeof e.data === 'string') {
        heard.texts.push(e.data);
        return;
      }
      heard.bytes = e.data.byteLength;
      ws.send('bye');
    };
    ws.onerror = () => { heard.errors++; };
    ws.onclose = () => resolve(heard);
  });
}

export default async function () {
  const heard = await talk(`${__ENV.WS}/ws`);
  const refused = await talk(`${__ENV.WS}/status/404`);
  const gone = await talk(`ws://${__ENV.GONE}/ws`);
  check(heard, {
    texts: (h) => h.texts.join() === 'ten dinars',
    bytes: (h) => h.bytes === 3,
    protocol: (h) => h.protocol === 'haggle',
    refused: () => refused.errors === 1,
    gone: () => gone.errors === 1,
  });
}
