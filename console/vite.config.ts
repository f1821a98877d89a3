import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { offline, WORKER } from './src/offline/build';

const server = process.env.BELLWIRE_CONSOLE ?? 'http://127.0.0.1:8000';

export default defineConfig({
  base: './',
  plugins: [react(), offline()],
  build: {
    outDir: '../src/bellwire/web/static',
    emptyOutDir: true,
    target: 'es2023',
    license: { fileName: 'licenses.txt' },
    // The server's content policy permits no data: scripts, and small files cost nothing.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: 'assets.json',
    rolldownOptions: {
      input: { index: 'index.html', worker: 'src/offline/worker.ts' },
      output: {
        // A worker rules over what is below its own address, which must stay the same.
        entryFileNames: ({ name }) => (name === 'worker' ? WORKER : 'assets/[name]-[hash].js'),
      },
    },
  },
  server: { proxy: { '/api': { target: server, ws: true } } },
});
