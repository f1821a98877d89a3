import { Button } from '@mantine/core';
import type { FileShown, Files } from '../../chat/engine/files';
import { count, NOTHING } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { saveBlob } from '../../shared/save';
import { tell } from '../../shared/tell';
import { files as say } from '../../texts/files';
import styles from './Attachment.module.css';

interface AttachmentProps {
  peer: string;
  file: FileShown;
  files: Files;
}

/** A file that comes in chunks: how far it has come, and what can be done about it. */
export function Attachment({ peer, file, files }: AttachmentProps) {
  const { id, ours, name, size, state, done, group } = file;
  const words = say[group ? 'group' : ours ? 'ours' : 'theirs'][state];
  const isUnderWay = state === 'preparing' || state === 'coming';
  const isHere = state === 'kept' || (!ours && state === 'whole');
  const act = (work: Promise<unknown>) => void work.catch(tell);
  return (
    <div className={styles.attachment}>
      {isUnderWay && <progress aria-label={say.progress(name)} value={done} max={size} />}
      <p>{typeof words === 'string' ? words : words(count(done), count(size))}</p>
      {isHere && (
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => act(files.blob(peer, id, ours).then((blob) => saveBlob(name, blob)))}
        >
          {say.save}
        </Button>
      )}
      {isHere && (
        <Button
          size="compact-sm"
          variant="subtle"
          onClick={() => act(files.remove(peer, id, ours))}
        >
          {say.remove}
        </Button>
      )}
      {isUnderWay && (
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => act(files.cancel(peer, id, ours))}
        >
          {say.cancel}
        </Button>
      )}
    </div>
  );
}

interface PreparingProps {
  peer: string;
  /** Those of a conversation. */
  all: ReadonlyMap<string, FileShown>;
  files: Files;
}

/** Files that are being sealed, and are not said yet. */
export function Preparing({ peer, all, files }: PreparingProps) {
  return [...all.values()]
    .filter(({ state }) => state === 'preparing')
    .map((file) => (
      <div key={toHex(file.id)} className={styles.preparing} role="status">
        <p>{say.preparing(file.name || NOTHING)}</p>
        <Attachment peer={peer} file={file} files={files} />
      </div>
    ));
}
