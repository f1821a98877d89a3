import { Button, FileInput, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import { spellCode } from '../../chat/protocol/historyCode';
import type { Given, Taken } from '../../chat/state/history';
import { Dialog } from '../../shared/Dialog';
import { count } from '../../shared/format';
import { saveBlob } from '../../shared/save';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import { history as say } from '../../texts/history';
import styles from './History.module.css';
import { useCopied } from './useCopied';
import { reason } from './words';

const NAME = 'bellwire.history';

/** What was said, to another device of ours, or from one. */
export function History({ chat }: { chat: Chat }) {
  const [asked, setAsked] = useState<'give' | 'take' | null>(null);
  const close = () => setAsked(null);
  return (
    <section className={styles.part} aria-label={say.title}>
      <h3>{say.title}</h3>
      <div className={styles.ways}>
        {(['give', 'take'] as const).map((way) => (
          <Button key={way} size="compact-xs" variant="default" onClick={() => setAsked(way)}>
            {say[way]}
          </Button>
        ))}
      </div>
      <Dialog opened={asked === 'give'} onClose={close} title={say.giveTitle}>
        <Give chat={chat} />
      </Dialog>
      <Dialog opened={asked === 'take'} onClose={close} title={say.takeTitle}>
        <Take chat={chat} />
      </Dialog>
    </section>
  );
}

function Give({ chat }: { chat: Chat }) {
  const [given, setGiven] = useState<Given | null>(null);
  const [code, setCode] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const { isCopied, copy } = useCopied();

  const give = async () => {
    setBusy(true);
    try {
      const made = await chat.giveHistory();
      setCode(await spellCode(made.code));
      setGiven(made);
      saveBlob(NAME, made.file);
    } catch (refused) {
      setError(reason(refused));
      setBusy(false);
    }
  };
  if (!given)
    return (
      <div className={styles.form}>
        <p>{say.giveLead}</p>
        {error && <p role="alert">{error}</p>}
        <Button loading={isBusy} onClick={() => void give()}>
          {say.giveSubmit}
        </Button>
      </div>
    );
  return (
    <div className={styles.form}>
      <p>{say.given(count(given.messages), count(given.people))}</p>
      <Some
        all={[
          [say.attachments, given.attachments],
          [say.notSent, given.notSent],
          [say.unknown, given.unknown],
        ]}
      />
      <p className={styles.code} role="status" aria-label={say.code}>
        {code}
      </p>
      <Button variant="default" onClick={() => void copy(code)}>
        {isCopied ? texts.copied : texts.copy}
      </Button>
      <p>{say.giveAgain}</p>
      <p>{say.way}</p>
    </div>
  );
}

function Take({ chat }: { chat: Chat }) {
  const [file, setFile] = useState<File | null>(null);
  const [taken, setTaken] = useState<Taken | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  const take = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!file) return;
    const code = String(new FormData(event.currentTarget).get('code') ?? '');
    setBusy(true);
    setError(null);
    try {
      setTaken(await chat.takeHistory(file, code));
    } catch (refused) {
      setError(reason(refused));
    }
    setBusy(false);
  };
  if (taken)
    return (
      <div className={styles.form} role="status">
        <p>{say.taken(count(taken.messages), count(taken.people))}</p>
        <Some
          all={[
            [say.takenAttachments, taken.attachments],
            [say.known, taken.known],
            [say.expired, taken.expired],
            [say.leftOut, taken.leftOut],
          ]}
        />
        {taken.people > 0 && <p>{say.anew}</p>}
      </div>
    );
  return (
    <form className={styles.form} onSubmit={(event) => void take(event)}>
      <p>
        <Words>{say.takeLead}</Words>
      </p>
      <FileInput label={say.file} placeholder={say.choose} value={file} onChange={setFile} />
      <TextInput
        name="code"
        label={say.code}
        required
        maxLength={200}
        autoComplete="off"
        spellCheck={false}
        error={error}
      />
      <Button type="submit" loading={isBusy} disabled={!file}>
        {say.takeSubmit}
      </Button>
    </form>
  );
}

/** Of these, what there is. */
function Some({ all }: { all: readonly (readonly [(many: string) => string, number])[] }) {
  const there = all.filter(([, many]) => many > 0);
  if (there.length === 0) return null;
  return (
    <ul>
      {there.map(([words, many]) => (
        <li key={words('')}>{words(count(many))}</li>
      ))}
    </ul>
  );
}
