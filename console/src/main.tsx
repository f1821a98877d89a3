import { createRoot } from 'react-dom/client';
import { App } from './app/App';

const root = document.getElementById('root');
if (root) createRoot(root).render(<App />);

// Without it the console works as well, but not without its site.
if (import.meta.env.PROD) void navigator.serviceWorker?.register('./worker.js').catch(() => {});
